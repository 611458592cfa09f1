package doctor

import "testing"

func TestPolicyServiceChecks(t *testing.T) {
	const socket = "/var/spool/postfix/tlsratchet/policy-service.sock"
	entry := PolicyEntry("unix:tlsratchet/policy-service.sock")
	atEnd := endList + " = " + entry
	good := []string{recipientList + " = permit_mynetworks, reject_unlisted_recipient, " + entry, atEnd, "smtpd_milters = "}
	for _, tt := range []struct {
		name         string
		lines        []string
		services     string
		fingerprints bool
		want         []string
	}{
		{"all is well, without a milter", good, stockServices, false, []string{"ok policy service: asks last"}},
		{"with the milter too", append(good, "smtpd_milters = "+Entry("unix:tlsratchet/tlsratchet.sock")), stockServices, false, []string{"ok milter", "ok policy service"}},
		{"not asked", []string{recipientList + " = permit_mynetworks"}, stockServices, false,
			[]string{"ok milter", "note policy service: does not ask | postconf -e 'smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, " + entry, "note policy service: neither | 'smtpd_end_of_data_restrictions = " + entry}},
		{"nothing is asked", []string{"smtpd_milters = "}, stockServices, false,
			[]string{"broken milter", "note policy service: does not ask | 'smtpd_recipient_restrictions = reject_unlisted_recipient, " + entry, "note policy service: neither"}},
		{"permit ends the list", append(good, recipientList+" = permit_mynetworks, reject_unauth_destination, permit", endList+" = permit"), stockServices, false,
			[]string{"broken milter", "note policy service: does not ask | 'smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_unlisted_recipient, " + entry + ", permit'", "note policy service: neither | 'smtpd_end_of_data_restrictions = " + entry + ", permit'"}},
		{"after a permit", append(good, recipientList+" = permit_mynetworks, permit_auth_destination, reject_unlisted_recipient, "+entry+", reject", endList+" = permit, "+entry), stockServices, false,
			[]string{"broken policy service: permit_auth_destination ends | 'smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, " + entry + ", permit_auth_destination, reject_unlisted_recipient, reject'", "note policy service: in smtpd_end_of_data_restrictions: the policy service is not asked | = " + entry + ", permit'"}},
		{"before a permit", append(good, recipientList+" = permit_mynetworks, reject_unlisted_recipient, "+entry+", permit"), stockServices, false,
			[]string{"ok policy service: asks last"}},
		{"no default action, other restrictions after it", append(good, recipientList+" = check_policy_service unix:tlsratchet/policy-service.sock permit_mynetworks",
			"smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem", "smtpd_policy_service_timeout = 100s", "smtpd_policy_service_try_limit = 2"), stockServices, false,
			[]string{`broken policy service: answers each recipient with "451 4.3.5 | = permit_mynetworks, reject_unlisted_recipient, ` + entry, "note policy service: timeout=100s, try_limit=2", "note policy service: permit_mynetworks comes after", "note policy service: unknown recipients"}},
		{"at the end, out of the chroot's sight, and no default action there", append(good, endList+" = check_policy_service { unix:"+socket+", timeout=100s }",
			"smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem", "smtpd_policy_service_try_limit = 2"), stockServices, false,
			[]string{"ok policy service", `broken policy service: in smtpd_end_of_data_restrictions: when the daemon is down, Postfix answers each message with "451 4.3.5 | ` + atEnd, "broken policy service: in smtpd_end_of_data_restrictions: runs chrooted | " + atEnd, "note policy service: in smtpd_end_of_data_restrictions: a daemon that hangs delays each message: timeout=100s, try_limit=2 | " + atEnd}},
		{"not at the end, out of the chroot's sight", []string{recipientList + " = reject_unlisted_recipient, " + PolicyEntry("unix:"+socket), "smtpd_milters = "}, stockServices, false,
			[]string{"broken policy service: can't see " + socket + " | " + entry, "note policy service: neither learned nor refused | smtpd_end_of_data_restrictions = " + entry}},
		{"relay attempts", append(good, relayFirst+" = no"), stockServices, false,
			[]string{"note policy service: smtpd_relay_restrictions refuses are asked for | postconf -e 'smtpd_relay_before_recipient_restrictions = yes'"}},
		{"relay attempts, before Postfix 3.6, not refused first", append(good, relayFirst+" = ", relayList+" = permit_mynetworks, defer_unauth_destination"), stockServices, false,
			[]string{"note policy service: smtpd_relay_restrictions refuses are asked for | 'smtpd_recipient_restrictions = permit_mynetworks, reject_unlisted_recipient, $smtpd_relay_restrictions, " + entry}},
		{"relay attempts, before Postfix 3.6", append(good, relayFirst+" = ", recipientList+" = permit_mynetworks, reject_unauth_destination, reject_unlisted_recipient, "+entry), stockServices, false,
			[]string{"ok policy service"}},
		{"words in capitals", append(good, relayFirst+" = Yes", "smtpd_tls_req_ccert = YES", "smtpd_tls_fingerprint_digest = sha256"), stockServices, true,
			[]string{"ok policy service: asks last"}},
		{"by a class", append(good, classesList+" = a, b", "a = b, reject_unlisted_recipient, "+entry, "b = a", recipientList+" = permit_mynetworks, a"), stockServices, false,
			[]string{"ok policy service: asks last"}},
		{"beside a class", append(good, classesList+" = a", "a = reject_unauth_destination", recipientList+" = a, reject_unlisted_recipient, check_policy_service unix:tlsratchet/policy-service.sock"), stockServices, false,
			[]string{`broken policy service: answers each recipient with "" | '` + recipientList + " = a, reject_unlisted_recipient, " + entry}},
		{"by a class that only a table may name", append(good, classesList+" = a", "a = "+entry, recipientList+" = check_sender_access hash:/x"), stockServices, false,
			[]string{"broken milter", "note policy service: only what a table puts into the class a is asked about"}},
		{"a class without a check", append(good, classesList+" = a", "a = reject", recipientList+" = check_sender_access hash:/x"), stockServices, false,
			[]string{"broken milter", "note policy service: does not ask | 'smtpd_recipient_restrictions = check_sender_access, hash:/x, reject_unlisted_recipient, " + entry}},
		{"header_checks", append(good, "header_checks = regexp:/etc/postfix/header_checks, regexp:/etc/postfix/header_checks.tlsratchet"), stockServices, false,
			[]string{"ok policy service", "broken policy service: header_checks removes | 'header_checks = regexp:/etc/postfix/header_checks'"}},
		{"fingerprints", append(good, "smtpd_tls_fingerprint_digest = md5"), stockServices, true,
			[]string{"ok policy service", "broken certificates: smtpd_tls_ask_ccert | postconf -P 'smtp/inet/smtpd_tls_ask_ccert=yes'", "note certificates: md5"}},
		{"in master.cf", good, "smtp inet n - y - - smtpd\n", false, []string{"note policy service: does not ask | postconf -P 'smtp/inet/smtpd_recipient_restrictions=reject_unlisted_recipient,check_policy_service,{unix:tlsratchet/policy-service.sock,default_action=DUNNO,timeout=5s,try_limit=1}'"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overrides := "submission/inet/smtpd_milters ="
			if tt.name == "in master.cf" {
				overrides = "smtp/inet/smtpd_milters = " + Entry("unix:tlsratchet/tlsratchet.sock") + "\nsmtp/inet/smtpd_recipient_restrictions = reject_unlisted_recipient"
				tt.want = append([]string{"ok milter"}, tt.want...)
			}
			p := parse(mainCF(tt.lines...), tt.services, overrides)
			o := Options{Sockets: []string{ourSocket}, PolicySockets: []string{socket}, Fingerprints: tt.fingerprints}
			expect(t, append(p.milterChecks(o.Sockets, o.PolicySockets), p.policyChecks(o)...), tt.want)
		})
	}
}

// What only a main.cf can hold is not written into master.cf: a text in a table
// has blanks, and postconf(1) takes none.
func TestOverrideWithText(t *testing.T) {
	p := parse(mainCF(), stockServices, "")
	for list, want := range map[string]string{
		"check_sender_access inline:{ {a.example = REJECT go away}, b.example=OK }": "",
		"check_policy_service { inet:localhost:10023, { timeout = 3s } }":           "postconf -P 'smtp/inet/x=check_policy_service,{inet:localhost:10023,{timeout=3s}}'",
	} {
		if got := p.override(service{name: "smtp", kind: "inet"}, "x", list); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}
