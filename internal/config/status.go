package config

// Status is where the metrics and the page are.
type Status struct {
	// Listen is host:port, or [Off].
	Listen string
	// Names are the host names, in lower case, that browsers and scrapers may
	// call it by, beside the address itself and localhost.
	Names []string
}

func statusSettings() []setting[Config] {
	return []setting[Config]{
		word("status.listen", func(c *Config) *string { return &c.Status.Listen }, endpoint("127.0.0.1:19125"), same),
		list("status.names", 0,
			func(c *Config) *[]string { return &c.Status.Names }, parseDomain, same),
	}
}

func defaultStatus() Status {
	return Status{Listen: "127.0.0.1:19125", Names: []string{}}
}
