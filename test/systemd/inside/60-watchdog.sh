# A daemon that hangs: mail is taken meanwhile, and the watchdog ends it.
before=$(state NRestarts)
kill -STOP "$(state MainPID)"
check 'mail while the daemon hangs' tls_mail 192.0.2.10 hanging
eventually 'it is delivered' inbox '^Subject: hanging'
restarted() { [ "$(state NRestarts)" -gt "$before" ] && systemctl is-active tlsratchet.service; }
eventually 'the watchdog restarts it' restarted
check 'it was the watchdog' sh -c 'journalctl -u tlsratchet.service -q | grep -q "Watchdog timeout"'
eventually 'what was learned is still there' tlsratchet peer show 192.0.2.10
check 'mail after it' tls_mail 192.0.2.10 'after the watchdog'
