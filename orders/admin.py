"""Table of contents: the admin pages of the orders floor, one line per room."""

