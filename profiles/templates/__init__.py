"""Jobs to begin with: a question, invented tables, a policy for the partner, and the answer."""

from profiles.templates.written import TEMPLATES, write_template

__all__ = ["TEMPLATES", "write_template"]
