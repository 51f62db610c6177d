"""The zoo: one specimen or more of every kind of object that CPython's own library makes, by label.

Every specimen stays as it is made, so that what it refers to can be asked before and after a dump. What is planted in
some of them, :data:`heard` would tell: a walk runs no Python code.
"""

import truth_zoo_code
import truth_zoo_data
import truth_zoo_instances
import truth_zoo_library
import truth_zoo_modern
import truth_zoo_shapes
from truth_zoo_classes import bombs, heard

__all__ = ["bombs", "heard", "specimens"]


def specimens():
    """All specimens by label, fresh ones."""
    parts = (
        truth_zoo_data.dicts,
        truth_zoo_data.containers,
        truth_zoo_data.atoms,
        truth_zoo_code.functions,
        truth_zoo_code.generators,
        truth_zoo_code.exceptions,
        truth_zoo_instances.kinds,
        truth_zoo_instances.instances,
        truth_zoo_instances.references,
        truth_zoo_instances.iterators,
        truth_zoo_shapes.shapes,
        truth_zoo_shapes.unions,
        truth_zoo_modern.modern,
        truth_zoo_modern.contexts,
        truth_zoo_modern.suspended,
        truth_zoo_library.library,
    )
    return {label: item for part in parts for label, item in part().items()}
