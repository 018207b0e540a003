// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A domain that comes to this host: libxl's part of it.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "domain.h"
#include "migrate.h"

/* Domids that guests can have end below this (xen: DOMID_FIRST_RESERVED). */
#define DOMID_END	0x7ff0
/* Xen counts up from 1; who is far from there is in nobody's way. */
#define DOMID_FIRST	0x1000

int host_describe(json_t *hello)
{
	const libxl_version_info *version;
	uint64_t free_kb;
	struct xl xl;
	int rc;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	version = libxl_get_version_info(xl.ctx);
	if (version) {
		json_object_set_new(hello, "xen_major",
				    json_integer(version->xen_version_major));
		json_object_set_new(hello, "xen_minor",
				    json_integer(version->xen_version_minor));
	}
	if (!libxl_get_free_memory(xl.ctx, &free_kb))
		json_object_set_new(hello, "free_kb", json_integer(free_kb));
	xl_close(&xl);
	return DONE;
}

/*
 * Known before the domain is there, since its disks are.  By chance, so that
 * two that arrive at the same time do not meet.
 */
int domain_choose_domid(unsigned int *domid_out)
{
	uint16_t chance;
	struct xl xl;
	int rc;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	do {
		if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
			rc = fail("no random number: %m");
		*domid_out = DOMID_FIRST + chance % (DOMID_END - DOMID_FIRST);
	} while (!rc && libxl_domain_info(xl.ctx, NULL, *domid_out) !=
			ERROR_DOMAIN_NOTFOUND);
	xl_close(&xl);
	return rc;
}

static int parse(struct xl *xl, const char *json, libxl_domain_config *config)
{
	return libxl_domain_config_from_json(xl->ctx, config, json) ?
	       fail("libxl does not understand its configuration; are the versions of Xen the same?") :
	       DONE;
}

static int check_name(struct xl *xl, const char *name)
{
	uint32_t domid;

	return libxl_name_to_domid(xl->ctx, name, &domid) ? DONE :
	       fail("another domain is called %s there (%u)", name, domid);
}

int domain_check_arrival(const char *json)
{
	libxl_domain_config config;
	char *incoming = NULL;
	struct xl xl;
	int rc;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	rc = parse(&xl, json, &config);
	if (!rc && asprintf(&incoming, "%s" INCOMING, config.c_info.name) < 0)
		rc = fail("out of memory");
	if (!rc)
		rc = check_name(&xl, config.c_info.name);
	if (!rc)
		rc = check_name(&xl, incoming);
	if (!rc)
		rc = xl_check_memory(&xl, &config);
	free(incoming);
	libxl_domain_config_dispose(&config);
	xl_close(&xl);
	return rc;
}

int domain_receive(const char *json, unsigned int domid, int fd)
{
	libxl_domain_restore_params params;
	libxl_domain_config config;
	uint32_t made = INVALID_DOMID;
	char *incoming;
	struct xl xl;
	int rc, r;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	libxl_domain_restore_params_init(&params);
	params.stream_version = 2;
	rc = parse(&xl, json, &config);
	if (!rc && asprintf(&incoming, "%s" INCOMING, config.c_info.name) < 0)
		rc = fail("out of memory");
	if (!rc) {
		free(config.c_info.name);
		config.c_info.name = incoming;
		config.c_info.domid = domid;
		/* It destroys by itself what fails half-way. */
		r = libxl_domain_create_restore(xl.ctx, &config, &made, fd, -1,
						&params, NULL, NULL);
		if (r)
			rc = fail("libxl_domain_create_restore: error %d; see what it said above, and /var/log/xen there",
				  r);
	}
	libxl_domain_restore_params_dispose(&params);
	libxl_domain_config_dispose(&config);
	xl_close(&xl);
	return rc;
}
