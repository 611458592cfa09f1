package peer_test

import (
	"net/netip"
	"testing"

	"tlsratchet/internal/peer"
)

// Names as they are seen in the world, with "" for those that give no domain.
// Where a name embeds an address, that is one of RFC 5737 or RFC 3849 unless
// the provider's own numbering is the point.
var domains = []struct{ addr, host, want string }{
	// Big senders. They number hosts by the last octet or two, or say it all.
	{"209.85.221.41", "mail-wr1-f41.google.com", "google.com"},
	{"209.85.128.171", "mail-yw1-f171.google.com", "google.com"},
	{"2a00:1450:4864:20::42a", "mail-wr1-x42a.google.com", "google.com"},
	{"2607:f8b0:4864:20::112b", "mail-yw1-x112b.google.com", "google.com"},
	{"40.107.21.104", "mail-db8eur05on2104.outbound.protection.outlook.com", "outlook.com"},
	{"40.92.90.83", "mail-vi1eur05olkn2083.outbound.protection.outlook.com", "outlook.com"},
	{"2a01:111:f403:c200::1", "mail-am0eur02on20601.outbound.protection.outlook.com", "outlook.com"},
	{"54.240.27.18", "a27-18.smtp-out.us-west-2.amazonses.com", "amazonses.com"},
	{"54.240.8.31", "a8-31.smtp-out.amazonses.com", "amazonses.com"},
	{"69.169.224.7", "b224-7.smtp-out.eu-central-1.amazonses.com", "amazonses.com"},
	{"167.89.24.145", "o1678924x145.outbound-mail.sendgrid.net", "sendgrid.net"},
	{"168.245.100.5", "o168245100x5.outbound-mail.sendgrid.net", "sendgrid.net"},
	{"149.72.120.130", "wrqvtzvf.outbound-mail.sendgrid.net", "sendgrid.net"},
	{"192.0.2.10", "o1.email.example", "email.example"},
	{"205.201.133.42", "mail133-42.atl131.mcsv.net", "mcsv.net"},
	{"198.2.132.11", "mail132-11.atl131.mandrillapp.com", "mandrillapp.com"},
	{"198.2.128.1", "mail1.suw11.rsgsv.net", "rsgsv.net"},
	{"69.72.42.10", "m42-10.mailgun.net", "mailgun.net"},
	{"104.245.209.192", "mta192a-ord.mtasv.net", "mtasv.net"},
	{"178.154.239.213", "forward500b.mail.yandex.net", "yandex.net"},
	{"212.227.15.19", "mout.gmx.net", "gmx.net"},
	{"212.227.126.130", "mout.kundenserver.de", "kundenserver.de"},
	{"212.227.17.11", "mout.web.de", "web.de"},
	{"194.25.134.80", "mailout08.t-online.de", "t-online.de"},
	{"178.33.254.192", "10.mo561.mail-out.ovh.net", "ovh.net"},
	{"46.105.77.114", "smtpout2.mo533.mail-out.ovh.net", "ovh.net"},
	{"66.163.187.10", "sonic308-10.consmr.mail.ne1.yahoo.com", "yahoo.com"},
	{"17.58.63.172", "ms11p00im-qufo17281601.me.com", "me.com"},
	{"94.100.181.251", "fallback14.m.smailru.net", "smailru.net"},
	{"81.169.146.160", "mo4-p00-ob.smtp.rzone.de", "rzone.de"},
	{"185.70.40.131", "mail-40131.protonmail.ch", "protonmail.ch"},
	{"103.168.172.144", "fout-a1-smtp.messagingengine.com", "messagingengine.com"},
	{"108.174.3.215", "maile-fd.linkedin.com", "linkedin.com"},
	{"115.236.118.208", "mail-m118208.qiye.163.com", "163.com"},
	{"220.181.12.217", "m16.mail.163.com", "163.com"},
	{"136.143.188.51", "sender4-op-o51.zoho.com", "zoho.com"},
	{"148.163.129.52", "dispatch1-us1.ppe-hosted.com", "ppe-hosted.com"},
	{"207.211.30.141", "us-smtp-delivery-141.mimecast.com", "mimecast.com"},
	{"212.82.101.46", "gateway32.websitewelcome.com", "websitewelcome.com"},
	{"80.12.242.10", "smtp-10.smtpout.orange.fr", "orange.fr"},
	{"212.27.42.4", "smtp4-g21.free.fr", "free.fr"},
	{"62.153.78.5", "mx3.bund.de", "bund.de"},
	// The price of the rule: who puts three octets or more into a name is taken
	// for a customer, and is known by its addresses alone.
	{"69.171.232.143", "69-171-232-143.mail-mail.facebook.com", ""},
	{"203.205.221.202", "out203-205-221-202.mail.qq.com", ""},
	{"156.70.28.49", "mta-70-28-49.sparkpostmail.com", ""},

	// Organisational domains.
	{"192.0.2.10", "mx1.bank.example", "bank.example"},
	{"192.0.2.10", "bank.example", "bank.example"},
	{"192.0.2.10", "mx1.bank.example.", "bank.example"},
	{"192.0.2.10", "MX1.Bank.EXAMPLE", "bank.example"},
	{"192.0.2.10", "a.b.c.d.mail.example.co.uk", "example.co.uk"},
	{"192.0.2.10", "mail.example.com.au", "example.com.au"},
	{"192.0.2.10", "mail.example.kyoto.jp", "example.kyoto.jp"},
	{"192.0.2.10", "mx.city.kawasaki.jp", "city.kawasaki.jp"},
	{"192.0.2.10", "www.ck", "www.ck"},
	{"192.0.2.10", "mx.bücher.example", "xn--bcher-kva.example"},
	{"192.0.2.10", "mx.xn--bcher-kva.example", "xn--bcher-kva.example"},
	{"192.0.2.10", "MX.BÜCHER.example.", "xn--bcher-kva.example"},
	{"192.0.2.10", "mail.пример.рф", "xn--e1afmkfd.xn--p1ai"},
	{"192.0.2.10", "mx.firm.个人.hk", "firm.xn--ciqpn.hk"},
	{"192.0.2.10", "个人.hk", ""},
	{"192.0.2.10", "mx_out.firm.example", "firm.example"},
	{"192.0.2.10", "user.github.io", "user.github.io"},
	{"192.0.2.10", "mx.news.blogspot.com", "news.blogspot.com"},
	{"192.0.2.10", "mail.firm.dyndns.org", "firm.dyndns.org"},
	{"192.0.2.10", "mx.internal.lan", "internal.lan"},
	// None.
	{"192.0.2.10", "", ""},
	{"192.0.2.10", "localhost", ""},
	{"192.0.2.10", "co.uk", ""},
	{"192.0.2.10", "com", ""},
	{"192.0.2.10", "github.io", ""},
	{"192.0.2.10", "GitHub.io.", ""},
	{"192.0.2.10", "something.ck", ""},
	{"192.0.2.10", "ec2-198-51-100-7.compute-1.amazonaws.com", ""}, // a suffix by wildcard
	{"192.0.2.10", "192.0.2.10", ""},
	{"192.0.2.10", "10.2.0.192.in-addr.arpa", ""},
	{"192.0.2.10", "mx..bank.example", ""},
	{"192.0.2.10", ".bank.example", ""},
	{"192.0.2.10", "mx1.bank.example..", ""},

	// Either half of an IPv6 address, forwards or by nibbles backwards, is enough; a
	// byte less is not.
	{"2001:db8:1:2:a3:4:5:6", "00a3000400050006.firm.example", ""},
	{"2001:db8:1:2:a3:4:5:6", "2000100800bd01002.firm.example", "firm.example"},
	{"2001:db8:1:2:a3:4:5:6", "600050004003a00.firm.example", "firm.example"},
	{"2001:db8:1:2:a3:4:5:6", "6000500040003a00.firm.example", ""},
	{"2001:db8:1:2:a3:4:5:6", "ffa3000400050006.firm.example", "firm.example"},
	{"2001:db8:1:2:a3:4:5:6", "ff0010008bd01002.firm.example", "firm.example"},

	// Clouds and hosters.
	{"192.0.2.10", "ec2-192-0-2-10.compute-1.amazonaws.com", ""},
	{"192.0.2.10", "ec2-192-0-2-10.eu-west-1.compute.amazonaws.com", ""},
	{"192.0.2.10", "static.10.2.0.192.clients.your-server.de", ""},
	{"192.0.2.10", "10.2.0.192.bc.googleusercontent.com", ""},
	{"192.0.2.10", "ns3012345.ip-192-0-2.eu", ""},
	{"192.0.2.10", "10.ip-192-0-2.eu", ""},
	{"192.0.2.10", "vps-0a1b2c3d.vps.ovh.net", "ovh.net"},
	{"192.0.2.10", "192-0-2-10.ip.linodeusercontent.com", ""},
	{"192.0.2.10", "192.0.2.10.vultrusercontent.com", ""},
	{"192.0.2.10", "ip192.ip-192-0-2.net", ""},
	{"192.0.2.10", "192-0-2-10.rev.poneytelecom.eu", ""},
	{"192.0.2.10", "vmi123456.contaboserver.net", "contaboserver.net"},
	{"192.0.2.10", "hosted-by.192-0-2-10.provider.example", ""},
	{"2001:db8:0:1::1", "2001-db8-0-1--1.isp.example", ""},

	// Dial-up and cable, many countries.
	{"192.0.2.10", "pC000020A.dip0.t-ipconnect.de", ""},
	{"192.0.2.10", "dslb-192-000-002-010.192.000.pools.vodafone-ip.de", ""},
	{"192.0.2.10", "ip-192-000-002-010.um42.pools.vodafone-ip.de", ""},
	{"192.0.2.10", "i59F5C000020A.versanet.example", ""},
	{"192.0.2.10", "x4d0c000020a.dyn.telefonica.example", ""},
	{"192.0.2.10", "c-192-0-2-10.hsd1.ca.comcast.net", ""},
	{"192.0.2.10", "pool-192-0-2-10.nycmny.fios.verizon.net", ""},
	{"192.0.2.10", "cpe-192-0-2-10.nyc.res.rr.com", ""},
	{"192.0.2.10", "192-0-2-10.lightspeed.sntcca.sbcglobal.net", ""},
	{"192.0.2.10", "cpc1-pool2-10.cable.example.co.uk", ""},
	{"192.0.2.10", "host192-0-2-10.range192-0.btcentralplus.com", ""},
	{"192.0.2.10", "lfbn-par-1-234-10.w192-0.abo.wanadoo.fr", ""},
	{"192.0.2.10", "192-0-2-10.abo.bbox.fr", ""},
	{"192.0.2.10", "10.Red-192-0-2.dynamicIP.rima-tde.net", ""},
	{"192.0.2.10", "host-192-0-2-10.business.telecomitalia.it", ""},
	{"192.0.2.10", "host10-2-static.0-192-b.business.telecomitalia.it", ""},
	{"192.0.2.10", "192-0-2-10.ip.btc-net.bg", ""},
	{"192.0.2.10", "192x0x2x10.static-business.kazan.ertelecom.ru", ""},
	{"192.0.2.10", "ppp-192-0-2-10.broadband.corbina.example", ""},
	{"192.0.2.10", "192-0-2-10.dynamic-pool.mclaut.net", ""},
	{"192.0.2.10", "abc192000002010.adsl.tpnet.example", ""},
	{"192.0.2.10", "192.0.2.10.dynamic.ttnet.com.tr", ""},
	{"192.0.2.10", "static.vnpt.vn", "vnpt.vn"},
	{"192.0.2.10", "192-0-2-10.user3p.veloxzone.com.br", ""},
	{"192.0.2.10", "10.2.0.192.dynamic.dsl.gvt.net.br", ""},
	{"192.0.2.10", "dsl-192-0-2-10-dyn.prod-infinitum.com.mx", ""},
	{"192.0.2.10", "fl1-192-0-2-10.stm.mesh.ad.jp", ""},
	{"192.0.2.10", "p010002000192.ap.plala.example.jp", ""},
	{"192.0.2.10", "abts-north-dynamic-010.2.0.192.airtelbroadband.in", ""},
	{"192.0.2.10", "n192000002010.netvigator.com", ""},
	{"192.0.2.10", "cm-192-0-2-10.revip7.asianet.co.th", ""},
	{"192.0.2.10", "3221225994.isp.example", ""},
	{"192.0.2.10", "h000002010.isp.example", ""},
	{"192.0.2.10", "h-c0-00-02-0a.isp.example", ""},
	{"192.0.2.10", "h0a0200c0.isp.example", ""},
	{"192.0.2.10", "c000-020a.isp.example", ""},
	{"10.1.1.2", "2.1.1.isp.example", ""},
	{"192.2.2.10", "10-2-2.isp.example", ""},
	// Two octets need a customer's word, one is nothing.
	{"192.0.2.10", "host-2-10.isp.example", ""},
	{"192.0.2.10", "10-2.dyn.isp.example", ""},
	{"192.0.2.10", "a2-10.smtp.isp.example", "isp.example"},
	{"192.0.2.10", "2-10.dynamic-host.example", "dynamic-host.example"}, // the word is the owner's
	{"192.0.2.10", "host-2-99.isp.example", "isp.example"},
	{"192.0.2.10", "host10.pool.isp.example", "isp.example"},
	{"192.0.2.10", "host-2-a-10.isp.example", "isp.example"},
	{"192.0.2.10", "mx-198-51-100-7.isp.example", "isp.example"}, // another's address
	{"192.0.2.10", "host.2-10.example", "2-10.example"},
	{"192.0.2.10", "mx1921680210.isp.example", "isp.example"},
	{"192.0.2.10", "mx-999-2-300-10.host.isp.example", "isp.example"},
	{"192.0.2.10", "192-0-99999-2-10.isp.example", "isp.example"}, // a longer number ends a row
	{"1.2.3.4", "mx16909060.isp.example", ""},
	{"192.255.2.10", "192-255-2.isp.example", ""},
	{"192.0.2.10", "c000z020a.isp.example", "isp.example"},
	{"192.0.2.10", "a0-192.smtp.isp.example", "isp.example"}, // its first two
	{"192.1.0.2", "x1921-0-2.isp.example", "isp.example"},
	{"192.0.2.10", "c0_00_02_0a.isp.example", ""},
	// IPv6.
	{"2001:db8:1:2:21b:21ff:fe12:3456", "20010db800010002.isp.example", ""},
	{"2001:db8:1:2:21b:21ff:fe12:3456", "x65.43.21.ef.ff.12.b1.20.isp.example", ""},
	{"2001:db8:1:2:21b:21ff:fe12:3456", "200010008bd01002.isp.example", ""},
	{"fe:fff:1f::5", "fe-fff-1f.isp.example", ""},
	{"2001:db8:1::5", "2001-db8-abcdef-1.isp.example", "isp.example"},
	{"2001:db8:1::5", "2001.db8.1.isp.example", ""},
	{"2001:db8:1::5", "2001_db8_1.isp.example", ""},
	{"2001:db8:1::5", "2001-db8z1.isp.example", "isp.example"},
	{"ff:1:2::5", "ff-1-2.isp.example", "isp.example"}, // all look like small numbers
	{"100:1:2::5", "100-1-2.isp.example", ""},
	{"1:2:ff::5", "1-2-ff.isp.example", "isp.example"},
	{"1:2:100::5", "1-2-100.isp.example", ""},
	{"2001:db8:0:1::5", "2001-db8--1.isp.example", ""},
	{"2001:db8:0:1::5", "2001-db8-1.isp.example", "isp.example"},
	{"2001:db8:1:2::5", "2001-db8--1.isp.example", ""},
	{"2001:db8::", "2001-db8--1.isp.example", "isp.example"},
	{"2001:db8:0:1::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.isp.example", ""},
	{"2001:db8:0:1::1", "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.isp.example", ""},
	{"2003:c0:1f00::42", "p200300C01F0000000000000000000042.dip0.t-ipconnect.de", ""},
	{"2001:db8:0:1::1", "2001-0db8-0000-0001-0000-0000-0000-0001.isp.example", ""},
	{"2001:db8:0:1::1", "ip6-2001-db8-0-1-0-0-0-1.isp.example", ""},
	{"2001:db8::1", "2001-db8--1.isp.example", ""},
	{"2a00::1", "2a00--1.isp.example", ""},
	{"2001:db8:12:34::1", "2001-db8-12.dyn.isp.example", ""},
	{"2001:db8:1:1:21b:21ff:fe12:3456", "021b-21ff-fe12-3456.isp.example", ""},
	{"2001:db8:1:1:21b:21ff:fe12:3456", "021b21fffe123456.isp.example", ""},
	{"2001:db8:1:1::5", "2001-db8.mx5.isp.example", "isp.example"},
	{"2001:db8::1", "mx-0-0-1.isp.example", "isp.example"},
	{"2001:db8::25", "mail25.isp.example", "isp.example"},
	{"2001:db8::1", "2001-db8-ffff--1.isp.example", "isp.example"},
	{"::ffff:192.0.2.10", "host-192-0-2-10.isp.example", ""},
}

func TestDomain(t *testing.T) {
	for _, tt := range domains {
		t.Run(tt.host, func(t *testing.T) {
			got, ok := peer.Domain(tt.host, netip.MustParseAddr(tt.addr))
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("Domain(%q, %s) = %q, %v, want %q", tt.host, tt.addr, got, ok, tt.want)
			}
		})
	}
}

func TestDomainOfNoAddressAsksNoEmbedding(t *testing.T) {
	got, ok := peer.Domain("host-192-0-2-10.isp.example", netip.Addr{})
	if got != "isp.example" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
}
