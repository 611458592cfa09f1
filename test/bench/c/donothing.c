/* A milter on libmilter that does nothing, for comparison. With "mail" it asks
 * for what tlsratchet asks for and accepts at MAIL; with "all" it takes every
 * event and accepts at the end of message. It ends when its standard input
 * does. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libmilter/mfapi.h>

static char symbols[] =
	"{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} "
	"{client_addr} {client_name} {client_ptr} {client_resolve} "
	"{auth_type} {auth_authen} {daemon_addr} {daemon_port}";

static sfsistat negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
	unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	char id[] = "i";

	(void)f0; (void)f1; (void)f2; (void)f3;
	*pf0 = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST;
	*pf1 = SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NR_HDR;
	*pf2 = *pf3 = 0;
	if (smfi_setsymlist(ctx, SMFIM_ENVFROM, symbols) != MI_SUCCESS || smfi_setsymlist(ctx, SMFIM_EOM, id) != MI_SUCCESS)
		return SMFIS_REJECT;
	return SMFIS_CONTINUE;
}

static sfsistat accept_mail(SMFICTX *ctx, char **argv) { (void)ctx; (void)argv; return SMFIS_ACCEPT; }

static sfsistat on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *addr) { (void)ctx; (void)name; (void)addr; return SMFIS_CONTINUE; }
static sfsistat on_text(SMFICTX *ctx, char *text) { (void)ctx; (void)text; return SMFIS_CONTINUE; }
static sfsistat on_envelope(SMFICTX *ctx, char **argv) { (void)ctx; (void)argv; return SMFIS_CONTINUE; }
static sfsistat on_header(SMFICTX *ctx, char *name, char *value) { (void)ctx; (void)name; (void)value; return SMFIS_CONTINUE; }
static sfsistat on_eoh(SMFICTX *ctx) { (void)ctx; return SMFIS_CONTINUE; }
static sfsistat on_body(SMFICTX *ctx, unsigned char *p, size_t n) { (void)ctx; (void)p; (void)n; return SMFIS_CONTINUE; }
static sfsistat on_eom(SMFICTX *ctx) { (void)ctx; return SMFIS_ACCEPT; }
static sfsistat on_unknown(SMFICTX *ctx, const char *cmd) { (void)ctx; (void)cmd; return SMFIS_CONTINUE; }

static struct smfiDesc mail_only = {
	.xxfi_name = "mail", .xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
	.xxfi_envfrom = accept_mail, .xxfi_negotiate = negotiate,
};

static struct smfiDesc everything = {
	.xxfi_name = "all", .xxfi_version = SMFI_VERSION, .xxfi_flags = 0,
	.xxfi_connect = on_connect, .xxfi_helo = on_text, .xxfi_envfrom = on_envelope, .xxfi_envrcpt = on_envelope,
	.xxfi_header = on_header, .xxfi_eoh = on_eoh, .xxfi_body = on_body, .xxfi_eom = on_eom,
	.xxfi_unknown = on_unknown, .xxfi_data = on_eoh,
};

static void *watch(void *arg)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
	_exit(0);
	return arg;
}

int main(int argc, char **argv)
{
	char where[256];
	pthread_t t;

	if (argc != 3 || (strcmp(argv[2], "mail") != 0 && strcmp(argv[2], "all") != 0)) {
		fprintf(stderr, "usage: donothing SOCKET mail|all\n");
		return 2;
	}
	umask(0); /* Postfix's user must get in */
	snprintf(where, sizeof where, "local:%s", argv[1]);
	if (pthread_create(&t, NULL, watch, NULL) != 0)
		return 1;
	if (smfi_setconn(where) == MI_FAILURE || smfi_setbacklog(1024) == MI_FAILURE ||
	    smfi_register(strcmp(argv[2], "all") == 0 ? everything : mail_only) == MI_FAILURE)
		return 1;
	return smfi_main();
}
