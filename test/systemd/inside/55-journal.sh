# The journal under load, rotated, and tlsratchet restarted meanwhile: what was
# learned is counted as often as the receiver has it.
counted() { tlsratchet report --outbound | sed -n 's/ recipients on .*//p'; }
arrived() { [ "$(grep -c '^load[0-9]*@remote.example TLS' /root/received)" -ge 120 ]; }
agree() { [ "$(counted)" = "$(grep -c TLS /root/received)" ]; }
eventually 'what was sent until now is counted' agree
for i in $(seq 120); do
	send_mail "load$i@remote.example"
	case $i in
	30 | 90) check "the journal is rotated after $i messages" journalctl --rotate ;;
	60) check 'tlsratchet is restarted' systemctl restart tlsratchet.service ;;
	esac
done
eventually 'all of the load arrives' arrived
replayed() { journalctl --facility=mail -o short-unix | tlsratchet replay - | grep -q '^judged  *[1-9]'; } # as in README.md
check 'replay reads the journal' replayed
eventually 'each delivery is counted once' agree
