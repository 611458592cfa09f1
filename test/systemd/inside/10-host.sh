# A mail host of its own small world, with the package not yet installed.
ip link set lo up
for a in 1 10 11 20 30 53; do ip address add 192.0.2.$a/32 dev lo; done
echo '127.0.0.1 localhost mail.here.example' >/etc/hosts
rm -f /etc/resolv.conf
echo 'nameserver 192.0.2.53' >/etc/resolv.conf
hostname mail.here.example
dnsmasq --user=root --no-resolv --no-hosts --bind-interfaces --listen-address=192.0.2.53 \
	--txt-record=bank.example,'v=spf1 ip4:192.0.2.0/24 -all' \
	--mx-host=remote.example,mx.remote.example,10 --host-record=mx.remote.example,192.0.2.30
cat >/etc/postfix/main.cf <<'CF'
compatibility_level = 3.6
myhostname = mail.here.example
mydestination = here.example
inet_interfaces = 127.0.0.1, 192.0.2.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
luser_relay = root
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
smtpd_milters = inet:127.0.0.1:1
milter_default_action = accept
non_smtpd_milters = $smtpd_milters
smtp_tls_security_level = may
CF
sed -i '/^#/d; /smtpd$/!b; /^smtp /!d' /etc/postfix/master.cf
systemctl restart postfix
/root/receiver -mx 192.0.2.30:25 -web 192.0.2.1:9999 -dir /root &
wait_for plain_mail
