"""Running it: Ray, models, the store, the search loop, tracking, reports and the command line."""
