"""Times to the second, short enough for a column: an offer lives for a minute and a half."""

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "Y-m-d H:i:s"
