# What the parts share. They run in the container, as root, with systemd as PID 1
# and no network but loopback. Each line "ok" or "FAIL" is a result.
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

check() { # NAME COMMAND...
	local name=$1 out; shift
	if out=$("$@" 2>&1); then echo "ok   $name"; else echo "FAIL $name: $out" | head -n 20; fi
}
wait_for() { # COMMAND...: until it succeeds, at most two minutes
	local i; for i in $(seq 240); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; "$@"
}
eventually() { # NAME COMMAND...: a check that waits
	local name=$1; shift; check "$name" wait_for "$@"
}
tls_mail() { # [ADDRESS [SUBJECT]]: a message over TLS from the bank
	swaks --silent 3 --tls --server 192.0.2.1 --local-interface "${1:-192.0.2.10}" --helo mx1.bank.example \
		--from alice@bank.example --to root@here.example --header "Subject: ${2:-over TLS}"
}
plain_mail() { # [ADDRESS [SUBJECT [SENDER]]]: one in clear, from a sender without SPF
	swaks --silent 3 --server 192.0.2.1 --local-interface "${1:-192.0.2.20}" --helo mx2.bank.example \
		--from "${3:-bob@none.example}" --to root@here.example --header "Subject: ${2:-in clear}"
}
send_mail() { # RECIPIENT: from this host to elsewhere
	printf 'Subject: to %s\n\nhello\n' "$1" | sendmail -f root@here.example "$1"
}
ask() { # PATH: of the receiver
	exec 3<>/dev/tcp/192.0.2.1/9999 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && grep -q ' 200 ' <&3
}
metrics() { # of the daemon
	exec 3<>/dev/tcp/127.0.0.1/19125 && printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3 && cat <&3
}
received() { grep -qE "$1" /root/received; }      # by the MX host of remote.example
alerted() { grep -qE "$1" /root/alerts; }         # by webhook
inbox() { grep -qE "$1" /var/mail/root; }         # a line of our mail
state() { systemctl show -P "$1" tlsratchet.service; }
journal() { journalctl -u tlsratchet.service -q "$@"; }
