package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tlsratchet/internal/clean"
)

const (
	// maxAnswer is how much of an answer's body is read, maxShown how much of it
	// is shown.
	maxAnswer, maxShown = 4096, 160
	maxHeaders          = 16 << 10
	userAgent           = "tlsratchet"

	// placeID is where a URL wants the message's ID.
	placeID = "{id}"

	// The signature is "sha256=" and, in hexadecimal, the HMAC-SHA256 of the
	// timestamp (seconds since 1970), a dot and the body.
	headerTimestamp = "X-Tlsratchet-Timestamp"
	headerSignature = "X-Tlsratchet-Signature"
)

// endpoint is an HTTP server that accepts messages: a webhook or an Alertmanager.
// Only its scheme and host are shown: the rest of the URL may be a secret.
type endpoint struct {
	url *url.URL
	// token is a bearer token, key that of the signature; "" for none.
	token, key string
	body       body
	client     *http.Client
}

// newEndpoint makes an endpoint: it reads the secrets, and tries a template.
func newEndpoint(s Settings, env func(string) (string, bool)) (*endpoint, error) {
	e := &endpoint{body: body{kind: kindJSON, render: plainBody}, client: &http.Client{
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true, // messages are rare
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaders,
			ForceAttemptHTTP2:      true,
		},
	}}
	raw, err := s.URL, error(nil)
	if strings.HasPrefix(raw, "file:") || strings.HasPrefix(raw, "env:") {
		if raw, err = secret(raw, env); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	if e.url, err = url.Parse(raw); err != nil || e.url.Host == "" || e.url.Scheme != "http" && e.url.Scheme != "https" {
		return nil, errors.New("url: want one that begins with https:// or http://")
	}
	if e.token, err = secret(s.Token, env); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	if e.key, err = secret(s.Secret, env); err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if s.Kind == KindAlertmanager {
		e.url, e.body.render = e.url.JoinPath("api/v2/alerts"), postables
	} else if s.Body != "" {
		if e.body, err = readBody(s.Body); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	return e, nil
}

// errRedirected is a redirect that isn't followed.
var errRedirected = errors.New("redirect not followed: configure the URL that it leads to")

// sameHost follows redirects to the same server that keep the method.
func sameHost(next *http.Request, via []*http.Request) error {
	first, status := via[0].URL, next.Response.StatusCode
	keeps := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !keeps || len(via) > 3 || next.URL.Scheme != first.Scheme || next.URL.Host != first.Host {
		return errRedirected
	}
	return nil
}

// place is the part of the URL that is shown.
func (e *endpoint) place() string { return e.url.Scheme + "://" + clean.Text(e.url.Host, 255) }

func (e *endpoint) try(ctx context.Context, all ...*Message) (answer string, err error) {
	body, err := e.body.render(all)
	if err != nil {
		return "", fmt.Errorf("making the body: %w", err)
	}
	to, method := *e.url, http.MethodPost
	if strings.Contains(to.Path, placeID) {
		to.Path, to.RawPath, method = strings.ReplaceAll(to.Path, placeID, all[0].ID), "", http.MethodPut
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return "", errors.New("cannot build the request") // err holds the URL
	}
	e.setHeader(req.Header, body)
	resp, err := e.client.Do(req)
	switch failed, _ := errors.AsType[*url.Error](err); {
	case errors.Is(err, errRedirected):
		return "", errRedirected
	case err != nil:
		return "", temporary{error: failed.Err} // without the URL
	}
	defer resp.Body.Close()
	answered, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // part of it is enough
	return judge(resp, answered)
}

// setHeader sets the header of a request.
func (e *endpoint) setHeader(h http.Header, body []byte) {
	h.Set("User-Agent", userAgent)
	h.Set("Content-Type", e.body.kind)
	if e.token != "" {
		h.Set("Authorization", "Bearer "+e.token)
	}
	if e.key != "" {
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		h.Set(headerTimestamp, timestamp)
		h.Set(headerSignature, signatureOf(e.key, timestamp, body))
	}
}

// signatureOf returns the value of [headerSignature].
func signatureOf(key, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// judge classifies an answer.
func judge(resp *http.Response, body []byte) (answer string, err error) {
	answer = clean.Text(resp.Status, 64)
	if text := clean.Text(string(bytes.TrimSpace(body)), maxShown); text != "" {
		answer += ": " + text
	}
	switch {
	case resp.StatusCode/100 == 2:
		return answer, nil
	case resp.StatusCode/100 == 5, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return answer, temporary{fmt.Errorf("the server answered %s", answer), retryAfter(resp.Header)}
	}
	return answer, fmt.Errorf("refused: the server answered %s", answer)
}

// maxRetryAfter is the most that we heed.
const maxRetryAfter = time.Hour

// retryAfter is how long the server wants us to wait: seconds, or a date (RFC 9110
// section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	seconds, _ := strconv.Atoi(value)
	wait := time.Duration(min(seconds, 1e6)) * time.Second
	if date, err := http.ParseTime(value); err == nil {
		wait = time.Until(date)
	}
	return min(max(wait, 0), maxRetryAfter)
}
