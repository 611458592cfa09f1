package config

import (
	"net/netip"
	"time"

	"tlsratchet/internal/alert"
	"tlsratchet/internal/outbound"
	"tlsratchet/milter/wire"
	"tlsratchet/tlsstate"
)

// settings returns every key of the file but those of rows, in the order
// that they are written, with the variable that overrides it. A reload changes
// those that are live, and all rows. The ranges of policy are those of
// [tlsstate.Policy].
func settings(c *Config) []setting {
	return []setting{
		key("listen", &c.Listen, list(1, listener(wire.NetworkSystemd), wire.Spec.String)),
		key("history", &c.History, text(or(parsePath, `or "memory"`, Memory))),
		live("header", &c.HeaderAll, named("value", either("downgrade", "all"), false, true)),
		live("exempt_networks", &c.ExemptNetworks, list(0, parseExemptNetwork, netip.Prefix.String)),
		live("judge_networks", &c.JudgeNetworks, list(0, parseNetwork, netip.Prefix.String)),
		key("plain_listeners", &c.PlainListeners, list(0, parsePort, same)),
		live("exempt_recipients", (*[]string)(&c.ExemptRecipients), list(0, parseRecipient, same)),
		key("spf", &c.SPF.On, named("value", either(Off, "on"), true, false)),

		key("shared", &c.Shared.URL, text(parseShared)),
		key("shared_password_file", &c.Shared.PasswordFile, text(or(parsePath, "", ""))),
		key("shared_roots_file", &c.Shared.RootsFile, text(or(parsePath, "", ""))),
		key("shared_milliseconds", &c.Shared.Timeout, span(time.Millisecond, 1, 1000)),
		key("shared_insecure", &c.Shared.Insecure, boolean()),

		key("socket.mode", &c.Socket.Mode, word(parseMode, showMode)),
		key("socket.group", &c.Socket.Group, text(parseGroup)),

		key("log.format", &c.Log.Format, oneOf(LogText, LogJSON)),
		live("log.level", &c.Log.Level, logLevel()),

		key("limits.connections", &c.Limits.Connections, integer(1, 65536)),
		key("limits.idle_seconds", &c.Limits.Idle, span(time.Second, 60, 86400)),
		key("limits.drain_seconds", &c.Limits.Drain, span(time.Second, 0, 300)),
		key("limits.read_milliseconds", &c.Limits.Read, span(time.Millisecond, 10, 10000)),
		key("limits.cache", &c.Limits.Cache, integer(100, 10_000_000)),
		key("limits.identities", &c.Limits.Identities, integer(1000, 100_000_000)),

		live("reply.contact", &c.Contact, text(parseContact)),

		live("policy.stripped", &c.Policy.Stripped, word(tlsstate.ParseAction, tlsstate.Action.String)),
		live("policy.weakened", &c.Policy.Weakened, word(tlsstate.ParseAction, tlsstate.Action.String)),
		live("policy.unauthenticated", &c.Policy.Unauthenticated, word(tlsstate.ParseAction, tlsstate.Action.String)),
		live("policy.pin_certificates", &c.Policy.PinCertificates, named("value", tlsstate.CertPins.String, tlsstate.CertByIssuer, tlsstate.CertByKey, tlsstate.CertOff)),
		live("policy.pin_after_days", &c.Policy.PinAfterDays, integer(1, 64)),
		live("policy.pin_max_age_days", &c.Policy.PinMaxAgeDays, integer(1, 3650)),
		live("policy.release_after_days", &c.Policy.ReleaseAfterDays, integer(2, 64)),
		live("policy.relax_after_days", &c.Policy.RelaxAfterDays, integer(2, 64)),
		live("policy.pin_up_to", &c.Policy.PinUpTo, word(parseLevel, tlsstate.Level.String)),
		live("policy.domain_enforce", &c.Policy.DomainEnforce, named("value", tlsstate.Enforce.String, tlsstate.EnforceBroad, tlsstate.EnforceAlways, tlsstate.EnforceNever)),

		key("policy_service.listen", &c.PolicyService.Listen, list(0, listener(), wire.Spec.String)),

		key("outbound.listen", &c.Outbound.Listen, list(0, listener(Beside), wire.Spec.String)),
		key("outbound.log", &c.Outbound.Log, text(or(parsePath, `"journal" or "off"`, Journal, Off))),
		live("outbound.action", &c.Outbound.Action, oneOf(Observe, Hold)),
		live("outbound.on_outage", &c.Outbound.ReleaseOnOutage, named("value", either(outbound.Hold, outbound.Release), false, true)),
		live("outbound.postfix", &c.Outbound.Postfix, list(1, parsePath, same)),
		live("outbound.least", &c.Outbound.Least, word(parseLevel, tlsstate.Level.String)),
		live("outbound.pin_after_days", &c.Outbound.PinAfterDays, asPolicy(1, 64)),
		live("outbound.pin_max_age_days", &c.Outbound.PinMaxAgeDays, asPolicy(1, 3650)),
		live("outbound.release_after_days", &c.Outbound.ReleaseAfterDays, asPolicy(2, 64)),
		live("outbound.relax_after_days", &c.Outbound.RelaxAfterDays, asPolicy(2, 64)),

		key("breaker.domains", &c.Breaker.Domains, integer(1, 1000)),
		key("breaker.window_seconds", &c.Breaker.Window, span(time.Second, 60, 86400)),
		key("breaker.pin_days", &c.Breaker.PinDays, integer(0, 64)),

		key("admin.socket", &c.Admin.Socket, text(or(parseSocketPath, "", "", Off))),
		key("admin.group", &c.Admin.Group, text(parseGroup)),

		key("selfcheck.address", &c.Selfcheck.Address, text(or(hostPort("host:port, as 127.0.0.1:25"), `or "off"`, Off))),
		key("selfcheck.every_seconds", &c.Selfcheck.Every, span(time.Second, 10, 86400)),

		key("status.listen", &c.Status.Listen, text(or(hostPort("host:port, as 127.0.0.1:19125"), `or "off"`, Off))),
		key("status.names", &c.Status.Names, list(0, parseDomain, same)),

		key("dns.resolver", &c.SPF.Resolver, word(parseResolver, showResolver)),
		key("dns.timeout_milliseconds", &c.SPF.Timeout, span(time.Millisecond, 100, 2000)),

		live("alert.log", &c.Alert.Log, oneOf(append(alert.Severities[:], Off)...)),
		live("alert.per_hour", &c.Alert.PerHour, integer(1, 1000)),
	}
}

// peerSettings returns the keys of a [[peer]] row. What a row as a whole must
// be is for [tlsstate.NewRules] to say.
func peerSettings(r *tlsstate.Row) []setting {
	return []setting{
		key("peer.domain", &r.Domain, text(parseDomain)),
		key("peer.subdomains", &r.Subdomains, boolean()),
		key("peer.network", &r.Network, word(parseNetwork, netip.Prefix.String)),
		key("peer.sender", &r.Sender, text(parseDomain)),
		key("peer.action", &r.Action, optional(word(tlsstate.ParseAction, tlsstate.Action.String))),
		key("peer.least", &r.Least, word(parseLevel, tlsstate.Level.String)),
		key("peer.fingerprint", &r.Fingerprints, list(1, parseFingerprint, same)),
		key("peer.exempt", &r.Exempt, boolean()),
	}
}

// sendSettings returns the keys of a [[send]] row.
func sendSettings(r *tlsstate.Row) []setting {
	return []setting{
		key("send.domain", &r.Domain, text(parseDomain)),
		key("send.subdomains", &r.Subdomains, boolean()),
		key("send.action", &r.Action, optional(named("value", func(a tlsstate.Action) string { return either(Hold, Observe)(a == tlsstate.Observe) }, tlsstate.Observe, tlsstate.Tempfail))),
		key("send.least", &r.Least, word(parseLevel, tlsstate.Level.String)),
		key("send.exempt", &r.Exempt, boolean()),
	}
}

// destinationSettings returns the keys of a [[destination]] row.
func destinationSettings(d *alert.Settings) []setting {
	return []setting{
		key("destination.kind", &d.Kind, oneOf(alert.KindWebhook, alert.KindAlertmanager, alert.KindMail)),
		key("destination.least", &d.Least, oneOf(alert.Severities[:]...)),
		key("destination.url", &d.URL, text(parseAlertURL)),
		key("destination.secret", &d.Secret, text(parseReference)),
		key("destination.token", &d.Token, text(parseReference)),
		key("destination.body", &d.Body, text(parsePath)),
		key("destination.server", &d.Server, text(hostPort("host:port, as 127.0.0.1:25"))),
		key("destination.to", &d.To, list(1, parseMailbox, same)),
		key("destination.from", &d.From, text(parseMailbox)),
	}
}
