"""The same sums of PyTorch on every x86-64 processor: set before it is imported.

Searches follow rounding: a sum whose last bit is another one ends at another face. Libraries choose
their loops by what a processor can do, unless they are told. NumPy is left to choose: pytest's
plugins import it before any test can tell it, and where AVX-512 is absent it warns when told.
"""

from __future__ import annotations

AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
"""What PyTorch, MKL and oneDNN read as they are loaded."""
