/* Two plain loops that read every entry of the matrix once for the gradient and once for the prediction.
 * Compile with cc -O3 -march=native -pthread -DINDEX=uint16_t limit.c (INDEX is the type of the row indices).
 * The arguments are a folder with the files data, indices and indptr, the number of rows, threads and runs.
 * Prints the seconds of each run. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static float *data;
static INDEX *indices;
static int64_t *indptr;
static double *rows, *sums;
static float *weights, *gradient;
static int64_t n_rows, n_columns;
static int n_threads;

static void *load(const char *folder, const char *name, size_t *bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(1); }
    fseek(file, 0, SEEK_END);
    *bytes = ftell(file);
    rewind(file);
    void *all = malloc(*bytes);
    if (fread(all, 1, *bytes, file) != *bytes) { perror(path); exit(1); }
    fclose(file);
    return all;
}

static void *work(void *argument) {
    int64_t t = (int64_t)argument, entries = indptr[n_columns], first = 0, last = n_columns;
    while (first < n_columns && indptr[first] < entries * t / n_threads) first++;
    while (last > 0 && indptr[last - 1] >= entries * (t + 1) / n_threads) last--;
    double *out = sums + t * n_rows;
    memset(out, 0, n_rows * sizeof *out);
    for (int64_t j = first; j < last; j++) {
        double sum = 0;
        for (int64_t k = indptr[j]; k < indptr[j + 1]; k++) sum += data[k] * rows[indices[k]];
        gradient[j] = sum;
    }
    for (int64_t j = first; j < last; j++) {
        double weight = weights[j];
        for (int64_t k = indptr[j]; k < indptr[j + 1]; k++) out[indices[k]] += weight * data[k];
    }
    return NULL;
}

int main(int count, char **arguments) {
    size_t bytes;
    if (count != 5) return 2;
    data = load(arguments[1], "data", &bytes);
    indices = load(arguments[1], "indices", &bytes);
    indptr = load(arguments[1], "indptr", &bytes);
    n_columns = bytes / sizeof *indptr - 1;
    n_rows = atol(arguments[2]);
    n_threads = atoi(arguments[3]);
    rows = malloc(n_rows * sizeof *rows);
    sums = malloc(n_threads * n_rows * sizeof *sums);
    weights = malloc(n_columns * sizeof *weights);
    gradient = malloc(n_columns * sizeof *gradient);
    for (int64_t i = 0; i < n_rows; i++) rows[i] = 1e-3 * i;
    for (int64_t j = 0; j < n_columns; j++) weights[j] = 1e-3f * j;
    for (int run = 0; run < atoi(arguments[4]); run++) {
        struct timespec start, end;
        pthread_t threads[64];
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int64_t t = 1; t < n_threads; t++) pthread_create(&threads[t], NULL, work, (void *)t);
        work((void *)0);
        for (int t = 1; t < n_threads; t++) pthread_join(threads[t], NULL);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%.9f\n", (end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec));
    }
    /* keeps the compiler from removing the loops */
    fprintf(stderr, "%g %g\n", gradient[n_columns / 2], sums[n_rows / 2]);
    return 0;
}
