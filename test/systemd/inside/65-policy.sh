# The policy service in place of the milter, set up as docs/policy-service.md says.
cp /etc/postfix/main.cf /root/main.cf.milter
printf '[policy_service]\nlisten = ["unix:/var/spool/postfix/tlsratchet/policy-service.sock"]\n' >>/etc/tlsratchet/tlsratchet.toml
postconf -X smtpd_milters
cat /usr/share/doc/tlsratchet/contrib/postfix/main.cf.policy >>/etc/postfix/main.cf
check 'restart with the policy service' systemctl restart tlsratchet.service
systemctl restart postfix
wait_for plain_mail
check 'doctor finds nothing broken in the policy service' sh -c 'tlsratchet doctor | grep -q "^ok *policy service"'
check 'in clear, by the policy service' plain_mail 192.0.2.10 'by the policy service' alice@bank.example
eventually 'it is marked' sh -c 'sed -n "/^X-TLS-Ratchet/,/^Subject/p" /var/mail/root | grep -q "Subject: by the policy service"'
asked() { metrics | grep '^tlsratchet_policy_service_requests_total [1-9]'; }
check 'by that door' asked
cp /root/main.cf.milter /etc/postfix/main.cf
sed -i '/^\[policy_service\]/,$d' /etc/tlsratchet/tlsratchet.toml
systemctl restart tlsratchet.service postfix
wait_for plain_mail
