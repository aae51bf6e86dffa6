"""What runs over data tell: accuracy, what attention lets through, formats that fit."""
