// Package policyservice is the second door to the ratchet: Postfix's SMTP access
// policy delegation (SMTPD_POLICY_README), for sites that can't or won't run a
// milter. smtpd(8) asks one question for each recipient, on a connection that it
// keeps, with the TLS state and the fingerprints of the client's certificate in
// it.
//
// The place is last in smtpd_recipient_restrictions, so only recipients that
// Postfix would accept are asked for. Messages without a sender are learned and
// refused at their end, where smtpd_end_of_data_restrictions asks too.
package policyservice
