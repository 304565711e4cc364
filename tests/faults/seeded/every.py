"""Every defect there is, by name."""

from tests.faults.seeded import of_delivery, of_holding, of_removal, of_retrieval
from tests.faults.seeded.defect import DEFECTS, Defect

__all__ = ["DEFECTS", "Defect", "of_delivery", "of_holding", "of_removal", "of_retrieval"]
