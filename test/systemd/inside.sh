#!/bin/bash
# Runs in the container, as root, with systemd as PID 1 and no network. Each line
# "ok" or "FAIL" is a result; the last is "all done".
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

check() { # NAME COMMAND...
	local name=$1 out; shift
	if out=$("$@" 2>&1); then echo "ok   $name"; else echo "FAIL $name: $out" | head -n 20; fi
}
wait_for() { # COMMAND...: until it succeeds, at most a minute
	local i; for i in $(seq 120); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; "$@"
}
tls_mail() { # a message over TLS
	swaks --silent 3 --tls --server 192.0.2.1 --local-interface 192.0.2.10 --helo mx1.bank.example --from alice@bank.example --to root@here.example
}
plain_mail() { # the same in clear
	swaks --silent 3 --server 192.0.2.1 --local-interface 192.0.2.20 --helo mx2.bank.example --from bob@bank.example --to root@here.example
}
state() { systemctl show -P "$1" tlsratchet.service; }

ip link set lo up
for a in 1 10 20; do ip address add 192.0.2.$a/32 dev lo; done
echo '127.0.0.1 localhost mail.here.example' >/etc/hosts
hostname mail.here.example
cat >/etc/postfix/main.cf <<'CF'
compatibility_level = 3.6
myhostname = mail.here.example
mydestination = here.example
inet_interfaces = all
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
luser_relay = root
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_milters = inet:127.0.0.1:1
milter_default_action = accept
non_smtpd_milters = $smtpd_milters
CF
sed -i '/^#/d; /smtpd$/!b; /^smtp /!d' /etc/postfix/master.cf
systemctl restart postfix
wait_for plain_mail

# Installation.
check 'apt-get install' apt-get install --yes /root/tlsratchet.deb
command -v tlsratchet >/dev/null || exit 1
check 'the socket unit is active' systemctl is-active tlsratchet.socket
check 'the daemon is ready' systemctl is-active tlsratchet.service
tlsratchet doctor >/root/doctor
sed -n 's/^ \{20,\}//p' /root/doctor | sort -u >/root/fixes
cat /root/fixes
check 'the lines of doctor work' sh -e /root/fixes
systemctl restart postfix
wait_for plain_mail
check 'other milters stay' sh -c "postconf -h smtpd_milters | grep -q ', inet:127.0.0.1:1$' && postconf -h non_smtpd_milters | grep -qx inet:127.0.0.1:1"
check 'a message over TLS' tls_mail
check 'it was judged' wait_for sh -c 'tlsratchet peer show 192.0.2.10'
check 'doctor finds nothing broken' tlsratchet doctor

# Socket activation.
systemctl stop tlsratchet.service 2>/dev/null
check 'mail while the daemon is stopped' tls_mail
check 'the socket started the daemon' wait_for systemctl is-active tlsratchet.service

# Reload.
check 'reload' systemctl reload tlsratchet
echo 'no such key = 1' >>/etc/tlsratchet/tlsratchet.toml
check 'a reload with a bad file fails' sh -c '! systemctl reload tlsratchet'
check 'the daemon goes on' systemctl is-active tlsratchet.service
sed -i '$d' /etc/tlsratchet/tlsratchet.toml
check 'reload with the file mended' systemctl reload tlsratchet

# A secret that only root can read.
printf 'secret' >/etc/tlsratchet/key; chmod 600 /etc/tlsratchet/key
mkdir -p /etc/systemd/system/tlsratchet.service.d
printf '[Service]\nLoadCredential=key:/etc/tlsratchet/key\nWatchdogSec=4s\n' >/etc/systemd/system/tlsratchet.service.d/test.conf
cat >>/etc/tlsratchet/tlsratchet.toml <<'TOML'
[[destination]]
kind = "webhook"
url = "http://192.0.2.1:9999/"
secret = "file:/run/credentials/tlsratchet.service/key"
TOML
systemctl daemon-reload
check 'restart with LoadCredential' systemctl restart tlsratchet.service
ls -la /run/credentials/tlsratchet.service
check 'the daemon reads the secret' sh -c '! journalctl -u tlsratchet.service -q | grep "read a secret"'

# Watchdog.
before=$(state NRestarts)
kill -STOP "$(state MainPID)"
check 'mail while the daemon hangs' tls_mail
restarted() { [ "$(state NRestarts)" -gt "$before" ] && systemctl is-active tlsratchet.service; }
check 'the watchdog restarts it' wait_for restarted

# Upgrade under load.
(for i in $(seq 40); do plain_mail && echo sent; done >/root/sent) &
check 'upgrade under load' apt-get install --yes --reinstall /root/tlsratchet.deb
wait $!
check 'no message was refused' test "$(wc -l </root/sent)" = 40
check 'the daemon is ready after it' systemctl is-active tlsratchet.service

# Sandbox.
systemd-analyze security tlsratchet.service --no-pager | tail -n 1
check 'the sandbox stopped nothing' sh -c '! journalctl -u tlsratchet.service -q | grep -iE "not permitted|permission denied"'
check 'journalctl -p err shows the errors of the self-check' sh -c 'journalctl -u tlsratchet.service -p err -q | grep -q msg=self-check'

# Purge.
rm -rf /etc/systemd/system/tlsratchet.service.d /etc/tlsratchet/key
check 'purge' apt-get purge --yes tlsratchet
check 'purge leaves nothing' sh -c '! find /etc /var/lib /var/spool /usr /run -name "*tlsratchet*" -not -path "/var/lib/dpkg/*" -not -name tlsratchet.pem | grep .'
check 'mail after it' plain_mail
echo 'all done'
