"""What people read, in their language: one catalogue a language, keyed by message."""

from profiles.language.language import LANGUAGES, Language, language

__all__ = ["LANGUAGES", "Language", "language"]
