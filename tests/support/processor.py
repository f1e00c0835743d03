"""The same sums on every x86-64 processor: set before NumPy and PyTorch are imported.

Searches follow rounding: a sum whose last bit is another one ends at another face. Libraries choose
their loops by what a processor can do, unless they are told.
"""

from __future__ import annotations

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
}
"""What PyTorch, MKL, NumPy, oneDNN and OpenBLAS read as they are loaded."""
