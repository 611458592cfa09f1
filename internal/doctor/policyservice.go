package doctor

import (
	"fmt"
	"slices"
	"strings"

	"tlsratchet/internal/postconf"
)

// checkPolicy is the restriction that asks a policy service.
const checkPolicy = "check_policy_service"

// PolicyEntry returns the restriction for an endpoint, as in contrib/postfix.
func PolicyEntry(endpoint string) string {
	return checkPolicy + " { " + endpoint + ", default_action=DUNNO, timeout=5s, try_limit=1 }"
}

// policy is our entry in a list of restrictions.
type policy struct {
	// items are the list's; at is where checkPolicy stands in it, or -1.
	items []string
	at    int
	entry milter
	// reachable: smtpd(8) can see the socket.
	reachable bool
}

// onlyWarns is the restriction by which the next one refuses nothing.
const onlyWarns = "warn_if_reject"

// warns reports whether our entry refuses nothing.
func (is policy) warns() bool { return is.at > 0 && is.items[is.at-1] == onlyWarns }

// others are the items without our entry, and without what belongs to it.
func (is policy) others() []string {
	from := is.at
	if is.warns() {
		from--
	}
	return slices.Delete(slices.Clone(is.items), from, is.at+2)
}

// classesList names the parameters that are lists of restrictions of their own.
const classesList = "smtpd_restriction_classes"

// policyIn returns our entry in a list of restrictions of a service. Where that names
// it by a class alone, the items have what the classes stand for: to Postfix that is
// the same.
func (p *Postfix) policyIn(s service, list string, sockets []string) policy {
	items := postconf.List(p.value(s, list))
	found := p.policyAmong(s, items, sockets)
	if found.at < 0 {
		found = p.policyAmong(s, p.expand(s, items), sockets)
	}
	return found
}

func (p *Postfix) policyAmong(s service, items, sockets []string) policy {
	found := policy{items: items, at: -1}
	for i, word := range items {
		if word != checkPolicy || i+1 == len(items) {
			continue
		}
		for _, m := range parseMilters(items[i+1]) {
			if is, reachable := p.isOurs(m.endpoint, s.chroot, sockets); is {
				found.at, found.entry, found.reachable = i, m, reachable
			}
		}
	}
	return found
}

// expand returns restrictions with those that their classes stand for. Classes may
// stand in classes.
func (p *Postfix) expand(s service, items []string) []string {
	classes := postconf.List(p.value(s, classesList))
	for range classes {
		var all []string
		for _, word := range items {
			if slices.Contains(classes, word) {
				all = append(all, postconf.List(p.value(s, word))...)
			} else {
				all = append(all, word)
			}
		}
		items = all
	}
	return items
}

// relayFirst is the parameter by which relay attempts are refused before we are asked.
const relayFirst = "smtpd_relay_before_recipient_restrictions"

// relayList is what refuses them.
const relayList = "smtpd_relay_restrictions"

// unlisted is the restriction that refuses recipients that are not there.
const unlisted = "reject_unlisted_recipient"

const recipientList, endList = "smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"

// policyChecks look at how Postfix asks the policy service.
func (p *Postfix) policyChecks(o Options) (all []Finding) {
	if len(o.PolicySockets) == 0 {
		return nil
	}
	asked := false
	public, _ := p.smtpd()
	for _, s := range public {
		found := p.policyCheck(s, o.PolicySockets)
		asks := found[0].Severity == Fine || p.policyIn(s, recipientList, o.PolicySockets).at >= 0
		asked = asked || asks
		if asks && o.Fingerprints {
			found = append(found, p.certificateChecks(s)...)
		}
		all = slices.Concat(all, found, p.endCheck(s, o.PolicySockets))
		for _, list := range early {
			if is := p.policyIn(s, list, o.PolicySockets); is.at >= 0 {
				all = append(all, note("policy service", fmt.Sprintf("%s%s asks, which is the wrong place: what is refused later is judged and learned, or nothing is", s.label(), list), p.set(s, list, restrictions(is.others()))))
			}
		}
	}
	if asked && strings.Contains(p.main["header_checks"], "header_checks.tlsratchet") {
		kept := slices.DeleteFunc(postconf.List(p.main["header_checks"]), func(table string) bool { return strings.Contains(table, "header_checks.tlsratchet") })
		all = append(all, broken("policy service", "header_checks removes X-TLS-Ratchet, which the policy service adds: only a milter's header comes after it", p.postconf("header_checks = "+strings.Join(kept, ", "))))
	}
	return unique(all)
}

// policyCheck looks at whether a public service asks, and how.
func (p *Postfix) policyCheck(s service, sockets []string) (all []Finding) {
	is := p.policyIn(s, recipientList, sockets)
	bad := func(severity Severity, format string, args ...any) {
		all = append(all, Finding{"policy service", severity, s.label() + fmt.Sprintf(format, args...), p.policyFix(s, recipientList, sockets)})
	}
	if is.at < 0 {
		for _, class := range postconf.List(p.value(s, classesList)) {
			if p.policyAmong(s, p.expand(s, []string{class}), sockets).at >= 0 { // a line would have it asked twice
				return []Finding{note("policy service", fmt.Sprintf("%sonly what a table puts into the class %s is asked about", s.label(), class), "")}
			}
		}
		bad(Note, "does not ask the policy service in %s", recipientList)
		return all
	}
	p.entryCheck(s, is, "recipient", sockets, bad)
	if last := end(is.items); last < is.at {
		bad(Broken, "%s ends %s before the check: it is never asked", is.items[last], recipientList)
	}
	if after := is.items[is.at+2:]; end(after) > 0 {
		bad(Note, "%s comes after the check: what it refuses was judged and learned", after[0])
	}
	before := p.expand(s, is.items[:is.at])
	if first(before, unlisted) < 0 {
		bad(Note, "unknown recipients are asked for and learned from: %s does not come before the check", unlisted)
	}
	if !p.isYes(s, relayFirst) && !refusesRelay(before) {
		fix := p.policyFix(s, recipientList, sockets)
		if p.main[relayFirst] != "" { // else before Postfix 3.6
			fix = p.set(s, relayFirst, "yes")
		}
		all = append(all, note("policy service", fmt.Sprintf("%srecipients that smtpd_relay_restrictions refuses are asked for and learned from: neither %s is yes, nor does reject_unauth_destination come before the check", s.label(), relayFirst), fix))
	}
	if len(all) == 0 {
		all = append(all, fine("policy service", s.label()+"asks last, and works without an answer"))
	}
	return all
}

// entryCheck looks at what becomes of each recipient, or message, where we don't answer,
// and at whether we are asked to any effect.
func (p *Postfix) entryCheck(s service, is policy, each string, sockets []string, bad func(severity Severity, format string, args ...any)) {
	option := func(name string) string { return p.option(s, is.entry, "smtpd_policy_service_", name) }
	if action := option("default_action"); !strings.EqualFold(action, "DUNNO") {
		bad(Broken, "when the daemon is down, Postfix answers each %s with %q: the default action is not DUNNO", each, action)
	}
	if !is.reachable {
		bad(Broken, "%s", p.unseen(is.entry.endpoint, sockets))
	}
	timeout, tries := option("timeout"), option("try_limit")
	if seconds(timeout, 1)*max(seconds(tries, 1), 1) > 25 {
		bad(Note, "a daemon that hangs delays each %s: timeout=%s, try_limit=%s", each, timeout, tries)
	}
	if is.warns() {
		bad(Broken, "%s comes before the check: nothing is refused", onlyWarns)
	}
}

// endCheck looks at whether we are asked at the end of a message, and how.
func (p *Postfix) endCheck(s service, sockets []string) (all []Finding) {
	is := p.policyIn(s, endList, sockets)
	bad := func(severity Severity, format string, args ...any) {
		all = append(all, Finding{"policy service", severity, s.label() + "in " + endList + ": " + fmt.Sprintf(format, args...), p.policyFix(s, endList, sockets)})
	}
	if is.at < 0 || end(is.items) < is.at {
		bad(Note, "the policy service is not asked: messages without a sender are neither learned nor refused, and quarantine adds no header")
		return all
	}
	p.entryCheck(s, is, "message", sockets, bad)
	return all
}

// end returns where a list of restrictions ends for mail that comes in: at the
// first one that decides about all of it.
func end(items []string) int {
	if i := first(items, "permit", "reject", "defer", "permit_auth_destination"); i >= 0 {
		return i
	}
	return len(items)
}

// first returns where the first of the words stands in a list of restrictions with
// effect, or -1.
func first(items []string, words ...string) int {
	for i, word := range items {
		if slices.Contains(words, word) && (i == 0 || items[i-1] != onlyWarns) {
			return i
		}
	}
	return -1
}

// refusesRelay reports whether restrictions refuse relay attempts.
func refusesRelay(items []string) bool {
	return first(items, "reject_unauth_destination", "defer_unauth_destination") >= 0
}

// policyFix returns the line that puts our check last in a list of restrictions,
// but before what ends it, and before Postfix 3.6 behind those on relaying.
func (p *Postfix) policyFix(s service, list string, sockets []string) string {
	is := p.policyIn(s, list, sockets)
	endpoint := p.endpoint(s.chroot, sockets)
	if is.at >= 0 && is.reachable {
		endpoint = is.entry.endpoint
	}
	if endpoint == "" {
		return ""
	}
	kept := postconf.List(p.written(s, list))
	if is.at >= 0 {
		kept = is.others()
	} else if end(is.items) < len(is.items) {
		kept = is.items // what ends it may come from another parameter
	}
	at, check := end(kept), []string{PolicyEntry(endpoint)}
	before := p.expand(s, kept[:at])
	if list == recipientList && first(before, unlisted) < 0 {
		check = slices.Insert(check, 0, unlisted)
	}
	if list == recipientList && p.main[relayFirst] == "" && !refusesRelay(before) && refusesRelay(postconf.List(p.value(s, relayList))) {
		check = slices.Insert(check, 0, "$"+relayList)
	}
	return p.set(s, list, restrictions(slices.Insert(kept, at, check...)))
}

// restrictions returns a list as it is written.
func restrictions(items []string) string {
	return strings.ReplaceAll(strings.Join(items, ", "), checkPolicy+", ", checkPolicy+" ")
}

// early are the lists of restrictions that are evaluated before a recipient is
// looked up, or where the policy service has no answer.
var early = []string{"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", relayList, "smtpd_data_restrictions"}

// certificateChecks look at whether clients are asked for a certificate, and at how
// fingerprints are made.
func (p *Postfix) certificateChecks(s service) (all []Finding) {
	const check, ask, digest = "certificates", "smtpd_tls_ask_ccert", "smtpd_tls_fingerprint_digest"
	if !p.isYes(s, ask) && !p.isYes(s, "smtpd_tls_req_ccert") {
		// In main.cf it would be for users who log in, too, whose programs ask them then.
		all = append(all, broken(check, fmt.Sprintf("service %s: %s is not yes: no client shows a certificate", s.name, ask), p.override(s, ask, "yes")))
	}
	if is := p.value(s, digest); is == "md5" || is == "sha1" {
		all = append(all, note(check, fmt.Sprintf("%s is %s, which can be forged: change it, with the rows, before fingerprints are pinned", digest, is), p.set(s, digest, "sha256")))
	}
	return all
}
