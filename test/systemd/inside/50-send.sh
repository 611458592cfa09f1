# The sending side, set up as docs/outbound.md says: the real journal teaches.
cp /usr/share/doc/tlsratchet/contrib/postfix/tlsratchet-policy.cf /etc/postfix/
postconf -e 'smtp_tls_loglevel = 1' 'smtp_tls_note_starttls_offer = yes'
postconf -e "smtp_tls_policy_maps = $(postconf -h smtp_tls_policy_maps | sed 's/..*/&, /')memcache:\${config_directory}/tlsratchet-policy.cf"
systemctl restart postfix
wait_for plain_mail
systemctl restart tlsratchet.service
check 'doctor finds nothing broken in the sending side' tlsratchet doctor
send_mail ann@remote.example
eventually 'mail to elsewhere goes over TLS' received '^ann@remote.example TLS 1.3'
eventually 'it is learned from the journal' sh -c 'tlsratchet peers --pinned --kind destination | grep -q remote.example'
check 'STARTTLS is taken away' ask /strip
send_mail bob@remote.example
eventually 'the mail is held' sh -c 'journalctl -q | grep "to=<bob@remote.example>" | grep -q "status=deferred (TLS is required"'
eventually 'tlsratchet shows it' sh -c 'tlsratchet outbound | grep -q remote.example'
check 'nothing went in clear' sh -c '! grep clear /root/received'
check 'STARTTLS is back' ask /offer
postqueue -f
eventually 'the held mail is sent over TLS' received '^bob@remote.example TLS 1.3'

# The real journal under load: what we counted is what the receiver counted.
count() { metrics | awk '/^tlsratchet_outbound_deliveries_total/ { n += $2 } END { print n + 0 }'; }
settled() { [ "$(count)" = "$(grep -c TLS /root/received)" ]; }
eventually 'what was sent before is counted' settled
before=$(count)
for n in $(seq 500); do send_mail "n$n@remote.example"; done
sent() { [ "$(grep -c '^n[0-9]*@remote.example TLS 1.3$' /root/received)" = 500 ]; }
wait_for sent
eventually '500 messages are sent over TLS' sent
counted() { [ $(($(count) - before)) = 500 ]; }
eventually 'all are counted from the journal' counted
complete() { ! metrics | grep '^tlsratchet_outbound_deliveries_total{level="unknown"} [1-9]'; }
check 'no line was missing' complete
