"""The six morphology classes of Radio Galaxy Zoo, in their order, and their codes.

A class is a number of components (isolated islands of emission) and of peaks: `1C_2P`
is one component with two peaks (Wu et al. 2019, MNRAS 482, 1211, section 2). Its code
in the files of ClaRAN and in claran's tables is `1_2`. The order is that of ClaRAN.
Index 0 of a classifier is the background, so that `RGZ_CLASSES[i]` has index `i + 1`.
"""

__all__ = ["RGZ_CLASSES", "display_name"]

RGZ_CLASSES = ("1_1", "1_2", "1_3", "2_2", "2_3", "3_3")


def display_name(code: str) -> str:
    """Returns a class code in the spelling of the paper; other names are unchanged.

    >>> display_name("2_3"), display_name("FR-II")
    ('2C_3P', 'FR-II')
    """
    components, underscore, peaks = code.partition("_")
    if underscore and components.isdigit() and peaks.isdigit():
        return f"{components}C_{peaks}P"
    return code
