package config

import "fmt"

// PolicyService is Postfix's policy delegation, beside the milter.
type PolicyService struct {
	// Listen is where Postfix asks: empty for nowhere.
	Listen []Listener
}

func policyServiceSettings() []setting[Config] {
	return []setting[Config]{
		list("policy_service.listen", 0,
			func(c *Config) *[]Listener { return &c.PolicyService.Listen }, parsePolicyListener, Listener.String),
	}
}

func parsePolicyListener(s string) (Listener, error) {
	l, err := parseListener(s)
	if err != nil || l.Network == Systemd {
		return l, fmt.Errorf("unknown listener %s: use unix:/path or inet:host:port", shown(s))
	}
	return l, nil
}
