package mtatest

// Stage is a point of the SMTP dialogue at which macros are sent.
type Stage int

// The stages, by their names in mfdef.h.
const (
	StageConnect Stage = iota // SMFIM_CONNECT
	StageHelo                 // SMFIM_HELO
	StageMail                 // SMFIM_ENVFROM
	StageRcpt                 // SMFIM_ENVRCPT
	StageData                 // SMFIM_DATA
	StageEOM                  // SMFIM_EOM
	StageEOH                  // SMFIM_EOH
	stages
)

// defaultSymbols are Postfix 3.7's milter_*_macros as postconf -d shows them.
var defaultSymbols = [stages][]string{
	StageConnect: {"j", "{daemon_name}", "{daemon_addr}", "v", "_"},
	StageHelo:    {"{tls_version}", "{cipher}", "{cipher_bits}", "{cert_subject}", "{cert_issuer}"},
	StageMail:    {"i", "{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}", "{mail_host}", "{mail_mailer}"},
	StageRcpt:    {"i", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}"},
	StageData:    {"i"},
	StageEOM:     {"i"},
	StageEOH:     {"i"},
}

// macros writes the packet that comes before an event. Postfix sends it even
// when the milter doesn't want the event itself, and again before each header
// and part of the body (those of StageEOH and StageEOM). A macro without a value is
// left out.
func (s *Session) macros(stage Stage, cmd byte, m *Message) {
	if len(s.symbols[stage]) == 0 {
		return
	}
	at := s.open('D')
	s.out = append(s.out, cmd)
	for _, name := range s.symbols[stage] {
		if value, ok := s.macro(name, stage, m); ok {
			s.cstring(name)
			s.cstring(value)
		}
	}
	s.seal(at)
}

// macro finds a value. The queue id is there only once a queue file is: after
// the first recipient.
func (s *Session) macro(name string, stage Stage, m *Message) (string, bool) {
	if name == "i" && (stage < StageRcpt || stage == StageRcpt && !s.queued) {
		return "", false
	}
	if m != nil {
		if value, ok := m.Macros[name]; ok {
			return value, true
		}
	}
	value, ok := s.opts.Macros[name]
	return value, ok
}
