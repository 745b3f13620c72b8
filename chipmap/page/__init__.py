"""The page of `chipmap serve`: pictures from anywhere, opened with care; analyses step by step; tiles; answers to clicks."""
