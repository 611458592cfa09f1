# Reload, and a secret that root alone can read.
echo 'no such key = 1' >>/etc/tlsratchet/tlsratchet.toml
check 'a reload with a bad file fails' sh -c '! systemctl reload tlsratchet'
check 'the daemon goes on' systemctl is-active tlsratchet.service
sed -i '$d' /etc/tlsratchet/tlsratchet.toml
check 'reload with the file mended' systemctl reload tlsratchet

printf 'secret' >/etc/tlsratchet/key; chmod 600 /etc/tlsratchet/key
cat >>/etc/tlsratchet/tlsratchet.toml <<'TOML'
[outbound]
action = "hold"
[[destination]]
kind = "mail"
to = ["root@here.example"]
[[destination]]
kind = "webhook"
url = "http://192.0.2.1:9999/"
secret = "file:/etc/tlsratchet/key"
TOML
check 'check names the secret that the service cannot read' sh -c 'tlsratchet check 2>&1 >/dev/null | grep -q "who can.t read /etc/tlsratchet/key"'
check 'restart with it' systemctl restart tlsratchet.service
eventually 'that destination is left out' sh -c 'journalctl -u tlsratchet.service -p err -q | grep "left out" | grep -q /etc/tlsratchet/key'
check 'and mail is judged' tls_mail

sed -i 's|file:/etc/tlsratchet/key|file:/run/credentials/tlsratchet.service/key|' /etc/tlsratchet/tlsratchet.toml
mkdir -p /etc/systemd/system/tlsratchet.service.d
printf '[Service]\nLoadCredential=key:/etc/tlsratchet/key\nWatchdogSec=4s\n' >/etc/systemd/system/tlsratchet.service.d/test.conf
systemctl daemon-reload
check 'restart with LoadCredential' systemctl restart tlsratchet.service
check 'reload with LoadCredential' systemctl reload tlsratchet.service
eventually 'the reload was done' sh -c 'journalctl -u tlsratchet.service -q | grep -q "msg=.*reloaded"'
check 'the daemon reads the secret' sh -c "! journalctl _SYSTEMD_INVOCATION_ID=$(state InvocationID) -q | grep 'read a secret'"
check 'check as root has no complaint' sh -c 'tlsratchet check 2>&1 >/dev/null | grep . && exit 1 || exit 0'
check 'nor about the sockets that systemd passes' sh -c 'tlsratchet check --listen systemd 2>&1 >/dev/null | grep . && exit 1 || exit 0'
check 'no reload took our own addresses for taken ones' sh -c '! journalctl -u tlsratchet.service -q | grep "another process has"'
