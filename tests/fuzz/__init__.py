"""Bytes nobody meant: what reads them must refuse them properly, or mean the same by them as everybody else.

`wire`, `between` and `files` hold the targets: functions of bytes that raise where a property does not hold. They
are run by hypothesis over the corpus (`test_fuzz.py`, always) and by a fuzzer that follows coverage (`python -m
tests.fuzz`, as long as one likes).
"""
