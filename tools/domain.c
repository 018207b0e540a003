// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What can be done to a domain of this host.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "domain.h"
#include "migrate.h"

bool xen_is_here(void)
{
	return !access("/proc/xen/privcmd", F_OK) ||
	       !access("/dev/xen/privcmd", F_OK);
}

bool xen_version(char *out, size_t size)
{
	const libxl_version_info *info;
	struct xl xl;

	if (!xen_is_here() || xl_open(&xl))
		return false;
	info = libxl_get_version_info(xl.ctx);
	if (info)
		snprintf(out, size, "%d.%d%s", info->xen_version_major,
			 info->xen_version_minor, info->xen_version_extra);
	xl_close(&xl);
	return info;
}

int xl_open(struct xl *xl)
{
	return xl_open_logging(xl, NULL);
}

/* Children that are not its own are none of libxl's business. */
static const libxl_childproc_hooks childproc_hooks = {
	.chldowner = libxl_sigchld_owner_libxl_always_selective_reap,
};

int xl_open_logging(struct xl *xl, xentoollog_logger *logger)
{
	memset(xl, 0, sizeof(*xl));
	/* libxl would say in its own words that there is no hypervisor. */
	if (!xen_is_here())
		return fail("this machine is no Xen host: run this on one");
	xl->logger = logger ? logger :
		     (xentoollog_logger *)xtl_createlogger_stdiostream(
				stderr, XTL_ERROR, 0);
	if (!xl->logger ||
	    libxl_ctx_alloc(&xl->ctx, LIBXL_VERSION, 0, xl->logger)) {
		xl_close(xl);
		return fail("cannot talk to Xen: run this as root, in domain 0");
	}
	libxl_childproc_setmode(xl->ctx, &childproc_hooks, NULL);
	return DONE;
}

void xl_close(struct xl *xl)
{
	libxl_ctx_free(xl->ctx);
	xtl_logger_destroy(xl->logger);
}

int xl_fail(int rc, const char *tried, const char *domain)
{
	return fail("%s: cannot %s (libxl %d)", domain, tried, rc);
}

int domain_find(const char *name, unsigned int *domid_out)
{
	uint32_t domid;
	struct xl xl;
	int rc;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	*domid_out = libxl_name_to_domid(xl.ctx, name, &domid) ? NO_DOMAIN :
								   domid;
	xl_close(&xl);
	return DONE;
}

int xl_check_memory(struct xl *xl, libxl_domain_config *config)
{
	uint64_t needed, free;

	if (libxl_domain_need_memory(xl->ctx, config, INVALID_DOMID,
				     &needed) ||
	    libxl_get_free_memory(xl->ctx, &free) || needed <= free)
		return DONE;
	return fail("%s: needs %llu MB of memory, and this host has %llu MB left; see `xl list`, or give Domain-0 less with `xl mem-set`",
		    config->c_info.name, (unsigned long long)needed >> 10,
		    (unsigned long long)free >> 10);
}

int domain_create(struct session *s, const char *json,
		  unsigned int *domid_out)
{
	libxl_domain_config config;
	uint32_t domid = INVALID_DOMID;
	struct xl xl;
	int rc, r;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	r = libxl_domain_config_from_json(xl.ctx, &config, json);
	if (r)
		rc = fail("the definition is not for this version of Xen: define it again");
	if (!rc)
		rc = xl_check_memory(&xl, &config);
	if (!rc)
		rc = xl_check_disks(s, &config);
	if (!rc) {
		/* It destroys by itself what fails half-way. */
		r = libxl_domain_create_new(xl.ctx, &config, &domid, NULL,
					    NULL);
		if (r)
			rc = xl_fail(r, "create it", config.c_info.name);
	}
	*domid_out = domid;
	libxl_domain_config_dispose(&config);
	xl_close(&xl);
	return rc;
}

/* An ACPI guest without PV drivers has a power button. */
static int shut_down(struct xl *xl, uint32_t domid)
{
	int r = libxl_domain_shutdown(xl->ctx, domid, NULL);

	return r == ERROR_NOPARAVIRT ?
	       libxl_send_trigger(xl->ctx, domid, LIBXL_TRIGGER_POWER, 0,
				  NULL) : r;
}

static int restart(struct xl *xl, uint32_t domid)
{
	int r = libxl_domain_reboot(xl->ctx, domid, NULL);

	return r == ERROR_NOPARAVIRT ?
	       libxl_send_trigger(xl->ctx, domid, LIBXL_TRIGGER_RESET, 0,
				  NULL) : r;
}

static int pause_it(struct xl *xl, uint32_t domid)
{
	return libxl_domain_pause(xl->ctx, domid, NULL);
}

static int unpause_it(struct xl *xl, uint32_t domid)
{
	return libxl_domain_unpause(xl->ctx, domid, NULL);
}

static int destroy(struct xl *xl, uint32_t domid)
{
	return libxl_domain_destroy(xl->ctx, domid, NULL);
}

static int console(struct xl *xl, uint32_t domid)
{
	return libxl_primary_console_exec(xl->ctx, domid, -1);
}

static const struct {
	const char *tried;
	int (*act)(struct xl *xl, uint32_t domid);
} actions[] = {
	[DOMAIN_SHUTDOWN] = { "shut it down", shut_down },
	[DOMAIN_REBOOT] = { "reboot it", restart },
	[DOMAIN_PAUSE] = { "pause it", pause_it },
	[DOMAIN_UNPAUSE] = { "unpause it", unpause_it },
	[DOMAIN_DESTROY] = { "destroy it", destroy },
	[DOMAIN_CONSOLE] = { "attach to its console", console },
};

int domain_act(enum domain_action action, unsigned int domid,
	       const char *name)
{
	struct xl xl;
	int rc, r;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	r = actions[action].act(&xl, domid);
	if (r)
		rc = xl_fail(r, actions[action].tried, name);
	xl_close(&xl);
	return rc;
}

/* Disposed of by the caller; all zero if there is no such domain. */
static void look_at(unsigned int domid, libxl_dominfo *info_out)
{
	struct xl xl;

	libxl_dominfo_init(info_out);
	if (xl_open(&xl))
		return;
	libxl_domain_info(xl.ctx, info_out, domid);
	xl_close(&xl);
}

bool domain_is_paused(unsigned int domid)
{
	libxl_dominfo info;
	bool paused;

	look_at(domid, &info);
	paused = info.paused;
	libxl_dominfo_dispose(&info);
	return paused;
}

bool domain_is_suspended(unsigned int domid)
{
	libxl_dominfo info;
	bool suspended;

	look_at(domid, &info);
	suspended = info.shutdown && info.shutdown_reason ==
				     LIBXL_SHUTDOWN_REASON_SUSPEND;
	libxl_dominfo_dispose(&info);
	return suspended;
}

static bool has_uuid(const libxl_dominfo *info, const char *uuid)
{
	char text[LIBXL_UUID_FMTLEN + 1];

	snprintf(text, sizeof(text), LIBXL_UUID_FMT,
		 LIBXL_UUID_BYTES(info->uuid));
	return !strcmp(text, uuid);
}

char *domain_name(unsigned int domid, const char *uuid)
{
	libxl_dominfo info;
	char *name = NULL;
	struct xl xl;

	if (xl_open(&xl))
		return NULL;
	libxl_dominfo_init(&info);
	if (!libxl_domain_info(xl.ctx, &info, domid) && has_uuid(&info, uuid))
		name = libxl_domid_to_name(xl.ctx, domid);
	libxl_dominfo_dispose(&info);
	xl_close(&xl);
	return name;
}

/* What @fn makes of all domains of this host. */
static int each_domain(void (*fn)(struct xl *xl, const libxl_dominfo *info,
				  void *data), void *data)
{
	libxl_dominfo *infos;
	struct xl xl;
	int i, n, rc;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	infos = libxl_list_domain(xl.ctx, &n);
	for (i = 0; infos && i < n; i++)
		fn(&xl, &infos[i], data);
	if (infos)
		libxl_dominfo_list_free(infos, n);
	else
		rc = fail("libxl cannot list this host's domains");
	xl_close(&xl);
	return rc;
}

/* What looking for a UUID takes. */
struct wanted {
	const char *uuid;
	unsigned int domid;
	char *name;
};

static void match_uuid(struct xl *xl, const libxl_dominfo *info, void *data)
{
	struct wanted *wanted = data;

	if (wanted->domid != NO_DOMAIN || !has_uuid(info, wanted->uuid))
		return;
	wanted->domid = info->domid;
	wanted->name = libxl_domid_to_name(xl->ctx, info->domid);
}

int domain_find_uuid(const char *uuid, unsigned int *domid_out,
		     char **name_out)
{
	struct wanted wanted = { uuid, NO_DOMAIN, NULL };
	int rc = each_domain(match_uuid, &wanted);

	*domid_out = wanted.domid;
	*name_out = wanted.name;
	return rc;
}

/* One that people know of, not one on its way out, or a helper. */
static void add_row(struct xl *xl, const libxl_dominfo *info, void *rows)
{
	char *name = libxl_domid_to_name(xl->ctx, info->domid);

	if (info->domid && name && !info->dying &&
	    !libxl_is_stubdom(xl->ctx, info->domid, NULL))
		json_array_append_new(rows, json_pack("{s:s s:i s:I s:b}",
			"domain", name, "domid", (int)info->domid,
			"memory_kb", (json_int_t)info->max_memkb,
			"incoming", is_incoming(name)));
	free(name);
}

int domain_list(json_t **rows_out)
{
	*rows_out = json_array();
	return each_domain(add_row, *rows_out);
}

bool is_incoming(const char *name)
{
	size_t length = strlen(name), suffix = strlen(INCOMING);

	return length > suffix && !strcmp(name + length - suffix, INCOMING);
}

bool domain_exists(unsigned int domid)
{
	struct xl xl;
	int r;

	/* When in doubt it does. */
	if (xl_open(&xl))
		return true;
	r = libxl_domain_info(xl.ctx, NULL, domid);
	xl_close(&xl);
	return r != ERROR_DOMAIN_NOTFOUND;
}
