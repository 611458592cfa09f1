# Install, do what doctor says, and the first mail is judged.
check 'apt-get install' apt-get install --yes /root/tlsratchet.deb
command -v tlsratchet >/dev/null || exit 1
check 'the socket unit is active' systemctl is-active tlsratchet.socket
check 'the daemon is ready' systemctl is-active tlsratchet.service
printf '[policy]\npin_after_days = 1\n' >>/etc/tlsratchet/tlsratchet.toml
check 'reload' systemctl reload tlsratchet
tlsratchet doctor >/root/doctor
sed -n 's/^ \{20,\}//p' /root/doctor | sort -u >/root/fixes
cat /root/fixes
check 'the lines of doctor work' sh -e /root/fixes
systemctl restart postfix
wait_for plain_mail
check 'other milters stay' sh -c "postconf -h smtpd_milters | grep -q ', inet:127.0.0.1:1$' && postconf -h non_smtpd_milters | grep -qx inet:127.0.0.1:1"
check 'a message over TLS' tls_mail
eventually 'it was judged' tlsratchet peer show 192.0.2.10
check 'doctor finds nothing broken' tlsratchet doctor
check 'journalctl -p err shows the errors of the self-check' sh -c 'journalctl -u tlsratchet.service -p err -q | grep -q msg=self-check'

# Socket activation.
systemctl stop tlsratchet.service 2>/dev/null
check 'mail while the daemon is stopped' tls_mail
eventually 'the socket started the daemon' systemctl is-active tlsratchet.service
