"""From a file to its text, with the places of pages and headings in it."""
