# Upgrade to the next version while mail comes: none is refused, none is lost.
rm -f /root/sent /root/refused
load() { # NAME COMMAND ADDRESS: until /root/enough
	local n=0
	while [ ! -e /root/enough ]; do
		n=$((n + 1))
		if "$2" "$3" "load $1 $n"; then echo "load $1 $n" >>/root/sent; else echo "load $1 $n" >>/root/refused; fi
	done
}
load tls tls_mail 192.0.2.10 & loads=$!
load clear plain_mail 192.0.2.20 & loads="$loads $!"
wait_for grep -q 'load clear 2' /root/sent
pid=$(state MainPID) socket=$(systemctl show -P ActiveEnterTimestampMonotonic tlsratchet.socket)
check 'upgrade under load' apt-get install --yes /root/next.deb
at=$(wc -l </root/sent)
more() { [ "$(wc -l </root/sent)" -gt $((at + 4)) ]; }
wait_for more
touch /root/enough
wait $loads
check 'it is the next version' sh -c 'dpkg-query -W -f "\${Version}" tlsratchet | grep -q -- "-2$"'
check 'the daemon is another' test "$(state MainPID)" != "$pid"
check 'the socket stayed open' test "$(systemctl show -P ActiveEnterTimestampMonotonic tlsratchet.socket)" = "$socket"
check 'no message was refused' test ! -e /root/refused
arrived() { [ "$(grep '^Subject: load ' /var/mail/root | sort -u | wc -l)" = "$(wc -l </root/sent)" ]; }
eventually "no message was lost of $(wc -l </root/sent)" arrived
check 'the daemon is ready after it' systemctl is-active tlsratchet.service
check 'what was learned is still there after it' tlsratchet peer show 192.0.2.10

# A version that has one more socket.
more=/var/spool/postfix/tlsratchet/more.sock
check 'upgrade to a version with one more socket' apt-get install --yes /root/more.deb
check 'the socket is there' test -S $more
check 'the daemon is ready with it' systemctl is-active tlsratchet.service
check 'mail after that' tls_mail
rm -f $more
