"""sqa_core: the library behind the SQA Book.

Imports nothing heavy: `import sqa_core` is quick, and each module says what it needs.
"""

__version__ = "0.2.0"
