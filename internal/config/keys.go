package config

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"tlsratchet/tlsstate"
)

// settings returns every key of the file but those of rows, in the order
// that they are written, with the variable that overrides it.
func settings() []setting[Config] {
	return slices.Concat(topSettings(), sharedSettings(), tableSettings(), policySettings(), policyServiceSettings(), outboundSettings(), breakerSettings(), adminSettings(), selfcheckSettings(), statusSettings(), dnsSettings(), alertSettings())
}

func topSettings() []setting[Config] {
	return []setting[Config]{
		list("listen", 1,
			func(c *Config) *[]Listener { return &c.Listen }, parseListener, Listener.String),
		word("history", func(c *Config) *string { return &c.History }, parseHistory, same),
		word("header", func(c *Config) *string { return &c.Header }, oneOf(HeaderDowngrade, HeaderAll), same),
		list("exempt_networks", 0,
			func(c *Config) *[]netip.Prefix { return &c.ExemptNetworks }, parseExemptNetwork, netip.Prefix.String),
		list("judge_networks", 0,
			func(c *Config) *[]netip.Prefix { return &c.JudgeNetworks }, parseNetwork, netip.Prefix.String),
		list("plain_listeners", 0,
			func(c *Config) *[]string { return &c.PlainListeners }, parsePort, same),
		list("exempt_recipients", 0,
			func(c *Config) *[]string { return &c.ExemptRecipients }, parseRecipient, same),
		spfSetting(),
	}
}

func tableSettings() []setting[Config] {
	return []setting[Config]{
		word("socket.mode", func(c *Config) *fs.FileMode { return &c.Socket.Mode }, parseMode, showMode),
		word("socket.group", func(c *Config) *string { return &c.Socket.Group }, parseGroup, same),

		word("log.format", func(c *Config) *string { return &c.Log.Format }, oneOf(LogText, LogJSON), same),
		word("log.level", func(c *Config) *slog.Level { return &c.Log.Level }, parseLogLevel, showLogLevel),

		integer("limits.connections", func(c *Config) *int { return &c.Limits.Connections }, 1, 65536),
		span("limits.idle_seconds", func(c *Config) *time.Duration { return &c.Limits.Idle }, time.Second, 60, 86400),
		span("limits.drain_seconds", func(c *Config) *time.Duration { return &c.Limits.Drain }, time.Second, 0, 300),
		span("limits.read_milliseconds", func(c *Config) *time.Duration { return &c.Limits.Read }, time.Millisecond, 10, 10000),
		integer("limits.cache", func(c *Config) *int { return &c.Limits.Cache }, 100, 10_000_000),
		integer("limits.identities", func(c *Config) *int { return &c.Limits.Identities }, 1000, 100_000_000),

		word("reply.contact", func(c *Config) *string { return &c.Reply.Contact }, parseContact, same),
	}
}

// The ranges are those of [tlsstate.Policy].
func policySettings() []setting[Config] {
	return []setting[Config]{
		word("policy.stripped", func(c *Config) *tlsstate.Action { return &c.Policy.Stripped }, tlsstate.ParseAction, tlsstate.Action.String),
		word("policy.weakened", func(c *Config) *tlsstate.Action { return &c.Policy.Weakened }, tlsstate.ParseAction, tlsstate.Action.String),
		word("policy.unauthenticated", func(c *Config) *tlsstate.Action { return &c.Policy.Unauthenticated }, tlsstate.ParseAction, tlsstate.Action.String),
		word("policy.pin_certificates", func(c *Config) *tlsstate.CertPins { return &c.Policy.PinCertificates }, tlsstate.ParseCertPins, tlsstate.CertPins.String),
		integer("policy.pin_after_days", func(c *Config) *int { return &c.Policy.PinAfterDays }, 1, 64),
		integer("policy.pin_max_age_days", func(c *Config) *int { return &c.Policy.PinMaxAgeDays }, 1, 3650),
		integer("policy.release_after_days", func(c *Config) *int { return &c.Policy.ReleaseAfterDays }, 2, 64),
		integer("policy.relax_after_days", func(c *Config) *int { return &c.Policy.RelaxAfterDays }, 2, 64),
		word("policy.pin_up_to", func(c *Config) *tlsstate.Level { return &c.Policy.PinUpTo }, parseLevel, tlsstate.Level.String),
		word("policy.domain_enforce", func(c *Config) *tlsstate.Enforce { return &c.Policy.DomainEnforce }, tlsstate.ParseEnforce, tlsstate.Enforce.String),
	}
}

// peerSettings returns the keys of a [[peer]] row. What a row as a whole must
// be is for [tlsstate.NewRules] to say.
func peerSettings() []setting[tlsstate.Row] {
	return []setting[tlsstate.Row]{
		word("peer.domain", func(r *tlsstate.Row) *string { return &r.Domain }, parseDomain, same),
		boolean("peer.subdomains", func(r *tlsstate.Row) *bool { return &r.Subdomains }),
		word("peer.network", func(r *tlsstate.Row) *netip.Prefix { return &r.Network }, parseNetwork, netip.Prefix.String),
		word("peer.sender", func(r *tlsstate.Row) *string { return &r.Sender }, parseDomain, same),
		word("peer.action", func(r *tlsstate.Row) **tlsstate.Action { return &r.Action }, parseRowAction, showRowAction),
		word("peer.least", func(r *tlsstate.Row) *tlsstate.Level { return &r.Least }, parseLevel, tlsstate.Level.String),
		list("peer.fingerprint", 1, func(r *tlsstate.Row) *[]string { return &r.Fingerprints }, parseFingerprint, same),
		boolean("peer.exempt", func(r *tlsstate.Row) *bool { return &r.Exempt }),
	}
}

func parseFingerprint(s string) (string, error) {
	fingerprint, ok := tlsstate.Fingerprint(s)
	if !ok {
		return "", fmt.Errorf("unknown fingerprint %s: want 16 to 64 bytes as hexadecimal digits, with colons or without, as Postfix logs it", shown(s))
	}
	return fingerprint, nil
}

func same(s string) string { return s }

func parseRowAction(s string) (*tlsstate.Action, error) {
	a, err := tlsstate.ParseAction(s)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

func showRowAction(a *tlsstate.Action) string {
	if a == nil {
		return ""
	}
	return a.String()
}
