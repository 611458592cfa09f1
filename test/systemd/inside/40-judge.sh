# Judged by address and by SPF, and reported by webhook and mail.
check 'a message over TLS after it' tls_mail
pinned() { tlsratchet peers --pinned --kind "$1" | grep -qF "$2"; }
eventually 'the address is pinned' pinned address 192.0.2.10
eventually 'the sender is proven by SPF and pinned' pinned sender 'sender:bank.example/192.0.2.0/24'
check 'in clear from a neighbour' plain_mail 192.0.2.11 neighbour alice@bank.example
eventually 'it is a downgrade of the sender' inbox 'identity=sender:bank.example'
check 'in clear from the address' plain_mail 192.0.2.10 stripped alice@bank.example
eventually 'journalctl -p warning shows the downgrade' sh -c 'journalctl -u tlsratchet.service -p warning -q | grep "msg=downgrade" | grep -q "identity=address:192.0.2.10"'
eventually 'an alert by webhook' alerted 'address:192\.0\.2\.10'
eventually 'an alert by mail' inbox '^Subject: \[critical\]'
