blueprint! { prefix = "/tasks", tags = ["tasks"], middleware = [log, RateLimit::per_minute(60)], token_limits = limits() }
