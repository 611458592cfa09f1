package config

import (
	"fmt"
	"time"
)

// Off, as the address of something, leaves it out.
const Off = "off"

// Selfcheck is how our own STARTTLS is tried out.
type Selfcheck struct {
	// Address is our own MX, host:port, or [Off].
	Address string
	// Every is how long to wait between two tries.
	Every time.Duration
}

func selfcheckSettings() []setting[Config] {
	return []setting[Config]{
		word("selfcheck.address", func(c *Config) *string { return &c.Selfcheck.Address }, endpoint("127.0.0.1:25"), same),
		span("selfcheck.every_seconds", func(c *Config) *time.Duration { return &c.Selfcheck.Every }, time.Second, 10, 86400),
	}
}

func defaultSelfcheck() Selfcheck {
	return Selfcheck{Address: "127.0.0.1:25", Every: 3 * time.Minute}
}

// endpoint parses host:port, or [Off]. The example is for the error.
func endpoint(example string) func(string) (string, error) {
	return func(s string) (string, error) {
		if s == Off {
			return s, nil
		}
		address, err := parseHostPort(s)
		if err != nil {
			return "", fmt.Errorf("unknown address %s: use host:port, as %s, or %q", shown(s), example, Off)
		}
		return address, nil
	}
}
