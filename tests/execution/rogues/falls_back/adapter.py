"""Computes on the CPU whatever it is asked for, as a framework without its CUDA libraries may."""

from impls.reference.adapter import ReferenceAdapter

create = ReferenceAdapter
