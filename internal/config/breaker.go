package config

import "time"

// Breaker is when the circuit breaker trips.
type Breaker struct {
	// Domains is how many pinned domains may downgrade together.
	Domains int
	// Window is within what time.
	Window time.Duration
	// PinDays is how many days old their pins must be.
	PinDays int
}

func breakerSettings() []setting[Config] {
	return []setting[Config]{
		integer("breaker.domains", func(c *Config) *int { return &c.Breaker.Domains }, 1, 1000),
		span("breaker.window_seconds", func(c *Config) *time.Duration { return &c.Breaker.Window }, time.Second, 60, 86400),
		integer("breaker.pin_days", func(c *Config) *int { return &c.Breaker.PinDays }, 0, 64),
	}
}

func defaultBreaker() Breaker {
	return Breaker{Domains: 10, Window: 10 * time.Minute, PinDays: 7}
}
