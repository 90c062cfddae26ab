/* Memory bandwidth: each thread reads 256 MB once per run; prints the best of ten runs in bytes per second.
 * Compile with cc -O3 -march=native -pthread bandwidth.c; the argument is the number of threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS = 1 << 25, RUNS = 10, MOST_THREADS = 64 };
static uint64_t *memory[MOST_THREADS], sums[MOST_THREADS];

static void *work(void *argument) {
    const uint64_t *words = memory[(intptr_t)argument];
    uint64_t sum = 0;
    for (size_t i = 0; i < WORDS; i++) sum += words[i];
    sums[(intptr_t)argument] = sum;
    return NULL;
}

int main(int count, char **arguments) {
    int n_threads = count == 2 ? atoi(arguments[1]) : 0;
    if (n_threads < 1 || n_threads > MOST_THREADS) return 2;
    double best = 0;
    for (int t = 0; t < n_threads; t++) {
        memory[t] = malloc(WORDS * sizeof(uint64_t));
        memset(memory[t], 1, WORDS * sizeof(uint64_t)); /* allocates the pages before the first run */
    }
    for (int run = 0; run < RUNS; run++) {
        struct timespec start, end;
        pthread_t threads[MOST_THREADS];
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (intptr_t t = 1; t < n_threads; t++) pthread_create(&threads[t], NULL, work, (void *)t);
        work((void *)0);
        for (int t = 1; t < n_threads; t++) pthread_join(threads[t], NULL);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double seconds = (end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec);
        double speed = (double)n_threads * WORDS * sizeof(uint64_t) / seconds;
        if (speed > best) best = speed;
    }
    fprintf(stderr, "%llu\n", (unsigned long long)sums[0]); /* keeps the compiler from removing the loops */
    printf("%.6g\n", best);
    return 0;
}
