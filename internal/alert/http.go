package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tlsratchet/internal/clean"
)

const (
	// maxAnswer is how much of an answer's body is read, maxShown how much of it
	// is shown.
	maxAnswer, maxShown = 4096, 160
	maxHeaders          = 16 << 10
	userAgent           = "tlsratchet"
)

// endpoint is an HTTP server that accepts messages. Only its scheme and host are
// shown: the rest of the URL may be a secret.
type endpoint struct {
	url    *url.URL
	token  string
	client *http.Client
}

func newEndpoint(s Settings, env Environment) (*endpoint, error) {
	raw := s.URL
	if u, err := url.Parse(raw); err != nil || u.Scheme == "file" || u.Scheme == "env" {
		if raw, err = Secret(s.URL, env.Getenv); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("url: want one that begins with https:// or http://")
	}
	e := &endpoint{url: u}
	if e.token, err = Secret(s.Token, env.Getenv); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	e.client = &http.Client{
		CheckRedirect: sameHost,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DisableKeepAlives:      true, // messages are rare
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaders,
			ForceAttemptHTTP2:      true,
		},
	}
	return e, nil
}

// errRedirected is a redirect that isn't followed.
var errRedirected = errors.New("redirect to another server not followed: configure its URL")

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

// send sends a request once.
func (e *endpoint) send(ctx context.Context, method string, to *url.URL, h http.Header, body []byte) (answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return "", errors.New("cannot build the request") // err holds the URL
	}
	req.Header = h
	h.Set("User-Agent", userAgent)
	if e.token != "" {
		h.Set("Authorization", "Bearer "+e.token)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		if err = withoutURL(err); errors.Is(err, errRedirected) {
			return "", err
		}
		return "", temporary{error: err}
	}
	defer resp.Body.Close()
	answered, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // part of it is enough
	return judge(resp, answered)
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
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		after := time.Duration(min(max(seconds, 0), 3600)) * time.Second
		return answer, temporary{fmt.Errorf("the server answered %s", answer), after}
	}
	return answer, fmt.Errorf("refused: the server answered %s", answer)
}

// withoutURL takes the URL out of an error of net/http.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
