"""A party's tables: bound to files, loaded once a job, checked, cleaned, encoded."""
