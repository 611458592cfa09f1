# What the sandbox did meanwhile; removal, and purge.
exposure=$(systemd-analyze security tlsratchet.service --no-pager | tail -n 1)
echo "$exposure"
check 'the exposure is at most 1.4, as the README says' awk -v "e=${exposure#*: }" 'BEGIN { exit !(e + 0 > 0 && e + 0 <= 1.4) }'
check 'the sandbox stopped nothing' sh -c '! journalctl -u tlsratchet.service -q | grep -v /etc/tlsratchet/key | grep -iE "not permitted|permission denied"'
rm -rf /etc/systemd/system/tlsratchet.service.d /etc/tlsratchet/key
check 'remove' apt-get remove --yes tlsratchet
check 'the memory stays' test -s /var/lib/private/tlsratchet/history.db
check 'mail after remove' plain_mail
check 'purge' apt-get purge --yes tlsratchet
check 'purge leaves nothing' sh -c '! find /etc /var/lib /var/spool /usr /run -name "*tlsratchet*" -not -path "/var/lib/dpkg/*" -not -name tlsratchet.pem -not -name tlsratchet-policy.cf | grep .'
check 'mail after it' plain_mail
echo 'all done'
