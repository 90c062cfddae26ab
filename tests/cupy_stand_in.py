"""A stand-in for CuPy where there is no GPU: NumPy's arrays, and the unmodified .cu source compiled by g++.

So the whole Python side of the backend (launch geometry, buffers, graphs, errors) and every kernel run in CI.
Nothing here knows what a kernel does. It is as strict as CuPy where that matters: no NumPy array gets into an
operation or a kernel unnoticed, nothing is copied or allocated while a graph is captured, launches have the
arguments' exact dtypes. What it cannot show: timing, the memory model of real hardware, and CuPy itself. That
is for `nox -s gpu`.
"""

import ctypes
import sys
import types

import array_api_compat.numpy as numpy_namespace
import numpy as np
from cuda_on_gxx import library
from numpy.lib.mixins import NDArrayOperatorsMixin
from scipy import sparse

PROCESSORS, MOST_THREADS = 3, 96  # few and small blocks, so that small problems cross their borders
SHARED_LIMIT = 1 << 14  # bytes a block may have: 2,000 rows fit, 3,000 do not
BACKWARDS = [False]  # whether threads and blocks run in the other order

# What of NumPy's an array, and the module, have here
ATTRIBUTES = {"dtype", "shape", "size", "ndim", "nbytes", "flags"}
METHODS = {"astype", "copy", "sum", "min", "max", "any", "all", "reshape", "ravel", "argmax", "cumsum"}
FUNCTIONS = ("zeros", "empty", "full", "empty_like", "zeros_like", "arange", "concatenate", "cumsum")
FUNCTIONS += ("ascontiguousarray", "isfinite", "flatnonzero", "count_nonzero")


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


# --- arrays


def _bare(value):
    """What is inside a device array; a host array may not mix with it, as in CuPy."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>: a host array in a device's operation")
    if isinstance(value, list | tuple):
        return type(value)(_bare(item) for item in value)
    return value


def _wrapped(value):
    if isinstance(value, np.ndarray | np.generic):
        return ndarray(np.asarray(value))
    if isinstance(value, tuple):
        return tuple(_wrapped(item) for item in value)
    return value


def _moves():
    if Stream.capturing is not None:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: copy or allocation in a capture")


class ndarray(NDArrayOperatorsMixin):  # noqa: N801
    """A NumPy array that says it is somewhere else."""

    __array_priority__ = 100

    def __init__(self, array):
        self._array = array

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs["out"] = tuple(_bare(item) for item in out)
        result = getattr(ufunc, method)(*(_bare(item) for item in inputs), **kwargs)
        return out[0] if out is not None else _wrapped(result)

    def __array_namespace__(self, api_version=None):
        return namespace

    @property
    def __cuda_array_interface__(self):
        data = self._array.ctypes.data, False
        return {"shape": self.shape, "typestr": self.dtype.str, "data": data, "version": 3}

    def __getattr__(self, name):
        if name in ATTRIBUTES:
            return getattr(self._array, name)
        if name in METHODS:
            return lambda *a, **k: _wrapped(getattr(self._array, name)(*_bare(a), **k))
        raise AttributeError(name)

    @property
    def device(self):
        return Device(getattr(self, "_device", 0))

    def __getitem__(self, key):
        return _wrapped(self._array[_bare(key)])

    def __setitem__(self, key, value):
        self._array[_bare(key)] = _bare(value)

    def __len__(self):
        return len(self._array)

    def __repr__(self):
        return f"device {self._array!r}"

    def __float__(self):
        _moves()
        return float(self._array)

    def __int__(self):
        _moves()
        return int(self._array)

    def __bool__(self):
        _moves()
        return bool(self._array)

    def item(self):
        _moves()
        return self._array.item()

    def get(self):
        _moves()
        return self._array.copy()

    def set(self, host):
        _moves()
        assert isinstance(host, np.ndarray)
        assert host.dtype == self.dtype
        assert host.shape == self.shape
        self._array[...] = host

    def fill(self, value):
        self._array.fill(value)


ndarray.__module__ = "cupy"


class Sparse:
    """A cupyx.scipy.sparse matrix: SciPy's, with device arrays."""

    def __init__(self, source, shape=None):
        parts = source._array if isinstance(source, ndarray) else source
        if isinstance(source, tuple):
            parts = tuple(part._array for part in source)
        dtype = getattr(parts, "dtype", np.dtype(float))
        if dtype.char not in "?fd":
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")
        self._matrix = parts if sparse.issparse(parts) else sparse.csc_matrix(parts, shape=shape)

    def __getattr__(self, name):
        if name in ("data", "indices", "indptr", "row", "col"):
            return ndarray(getattr(self._matrix, name))
        if name in ("shape", "dtype", "format", "nnz"):
            return getattr(self._matrix, name)
        raise AttributeError(name)

    def tocsc(self, copy=None):
        assert self.dtype.kind == "f", "cuSPARSE moves floating-point numbers only"
        return Sparse(self._matrix.tocsc(copy=bool(copy)))

    def astype(self, dtype):
        return Sparse(self._matrix.astype(dtype))

    def get(self):
        return self._matrix.copy()


Sparse.__module__ = "cupyx.scipy.sparse"


class Namespace(types.ModuleType):
    """The functions of array-api-compat's NumPy, for device arrays."""

    def __getattr__(self, name):
        function = getattr(numpy_namespace, name)
        if not callable(function) or isinstance(function, type):
            return function
        if name == "asarray":  # takes arrays of the host too
            return lambda value, **k: value if isinstance(value, ndarray) else _wrapped(np.array(value, **k))
        return lambda *a, **k: _wrapped(function(*_bare(a), **{key: _bare(k[key]) for key in k}))


# --- streams, graphs, memory, devices


class Graph:
    def __init__(self, launches):
        self.launches = launches

    def launch(self, stream=None):
        Graph.replays += 1
        for launch in self.launches:
            launch()


Graph.replays = 0


class Event:
    pass


class Stream:
    capturing = None  # the launches recorded so far
    stack = []  # noqa: RUF012

    def __init__(self, null=False, non_blocking=False):
        self.non_blocking = non_blocking

    def __enter__(self):
        Stream.stack.append(self)
        return self

    def __exit__(self, *error):
        assert Stream.stack.pop() is self

    def record(self):
        return Event()

    def wait_event(self, event):
        assert isinstance(event, Event)

    def begin_capture(self):
        assert self.non_blocking
        assert Stream.stack[-1] is self
        assert Stream.capturing is None
        Stream.capturing = []

    def end_capture(self):
        launches, Stream.capturing = Stream.capturing, None
        return Graph(launches)


class Device:
    current = 0
    count = 2

    def __init__(self, index=None):
        self.id = Device.current if index is None else index
        self.previous = []

    def __enter__(self):
        self.previous.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *error):
        Device.current = self.previous.pop()

    @property
    def attributes(self):
        return {"MultiProcessorCount": PROCESSORS, "MaxSharedMemoryPerBlockOptin": SHARED_LIMIT}


class Pool:
    __slots__ = ()  # CuPy's takes no attributes either
    freed = 0

    def free_bytes(self):
        return 0

    def free_all_blocks(self):
        Pool.freed += 1


class Runtime:
    CUDARuntimeError = CUDARuntimeError
    free, total = 10**9, 2 * 10**9

    def getDeviceCount(self):  # noqa: N802
        return Device.count

    def memGetInfo(self):  # noqa: N802
        return self.free, self.total


class Kernel:
    """What RawModule.get_function returns: launches the kernel that g++ has compiled."""

    shared_size_bytes = 1024
    max_threads_per_block = MOST_THREADS

    def __init__(self, code, name):
        self.library, numbers = library(code)
        self.number, self.name = numbers[name], name
        self.max_dynamic_shared_size_bytes = 0
        self.loaded = False

    def compile(self):
        _moves()

    def __call__(self, grid, block, arguments, shared_mem=0):
        allowed = max(self.max_dynamic_shared_size_bytes, 1 << 10)
        assert shared_mem <= allowed, "more shared memory than was asked for"
        values, arrays = [], []
        for argument in arguments:
            if isinstance(argument, ndarray):
                assert argument.flags.c_contiguous
                arrays.append(argument._array)
                values.append(ctypes.c_void_p(argument._array.ctypes.data))
            else:
                assert isinstance(argument, np.generic), f"{self.name}: {argument!r} has no exact dtype"
                values.append(np.ctypeslib.as_ctypes_type(argument.dtype)(argument.item()))
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        sizes = [*grid, *block, shared_mem]

        def launch(alive=(values, arrays)):
            self.library.l0np_launch(self.number, pointers, *sizes, int(BACKWARDS[0]))

        if Stream.capturing is None:
            self.loaded = True
            launch()
        else:
            assert self.loaded, f"{self.name} is first launched in a capture: CUDA would load it then"
            Stream.capturing.append(launch)


class RawModule:
    def __init__(self, *, code, options, name_expressions):
        assert "-fmad=false" in options
        self.code, self.names = code, name_expressions

    def get_function(self, name):
        assert name in self.names
        return Kernel(self.code, name)


# --- the module


namespace = Namespace("array_api_compat.cupy")


def _make_module():
    cupy = types.ModuleType("cupy")
    cupy.ndarray, cupy.RawModule = ndarray, RawModule

    def made(function):
        def make(*arguments, **options):
            _moves()
            return _wrapped(function(*_bare(arguments), **options))

        return make

    for name in FUNCTIONS:
        setattr(cupy, name, made(getattr(np, name)))

    def array(values, dtype=None, copy=True):
        _moves()
        if Runtime.free < np.asarray(getattr(values, "_array", values)).nbytes:
            raise OutOfMemoryError("Out of memory allocating")
        with np.errstate(all="ignore"):
            return ndarray(np.array(getattr(values, "_array", values), dtype=dtype))

    cupy.array = array
    cupy.asarray = lambda values, dtype=None: (
        values if isinstance(values, ndarray) and dtype in (None, values.dtype) else array(values, dtype)
    )
    cupy.asnumpy = lambda values: values.get() if isinstance(values, ndarray) else np.asarray(values)
    pool = Pool()
    cupy.get_default_memory_pool = lambda: pool
    null = Stream()
    cupy.cuda = types.SimpleNamespace(
        Device=Device,
        Stream=Stream,
        runtime=Runtime(),
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
        get_current_stream=lambda: Stream.stack[-1] if Stream.stack else null,
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
    )
    return cupy


def install(monkeypatch):
    """Put the stand-in where CuPy would be, for the time of a test; return the module."""
    from l0np.backends.cuda import source

    cupy = _make_module()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    inner = types.SimpleNamespace(issparse=lambda value: isinstance(value, Sparse), csc_matrix=Sparse)
    scipy = types.SimpleNamespace(sparse=inner)
    monkeypatch.setitem(sys.modules, "cupyx", types.SimpleNamespace(scipy=scipy))
    monkeypatch.setitem(sys.modules, "cupyx.scipy", scipy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    monkeypatch.setattr("array_api_compat.cupy", namespace, raising=False)
    monkeypatch.setattr(Stream, "capturing", None)
    monkeypatch.setattr(Stream, "stack", [])
    monkeypatch.setattr(Graph, "replays", 0)
    source.compiled_kernels.cache_clear()
    return cupy
