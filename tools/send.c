// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A domain that leaves this host: libxl's part of it.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "domain.h"
#include "migrate.h"

/* What libxl says while it works goes into a struct sending. */
struct logger {
	xentoollog_logger vtable;
	struct sending *to;
};

/* xen: libs/guest/xg_sr_save.c */
#define SUSPENDED	"Domain now suspended"

static void __attribute__((format(printf, 5, 0)))
take_message(xentoollog_logger *logger_in, xentoollog_level level, int errnoval,
	     const char *context, const char *format, va_list al)
{
	struct logger *logger = (struct logger *)logger_in;
	char text[512];

	vsnprintf(text, sizeof(text), format, al);
	if (strstr(text, SUSPENDED))
		logger->to->suspended_ms = now_ms();
	if (level >= XTL_ERROR)
		fprintf(stderr, "%s: %s%s%s\n", context ? context : "libxl",
			text, errnoval > 0 ? ": " : "",
			errnoval > 0 ? strerror(errnoval) : "");
}

/* An iteration sends what the guest has written to during the last one. */
static void begin_iteration(struct sending *to, unsigned long pages)
{
	int64_t now = now_ms();

	to->iterations++;
	if (to->iterations > 1) {
		to->dirty_pages = pages;
		to->dirty_ms = now - to->since_ms;
	}
	to->since_ms = now;
}

static void take_progress(xentoollog_logger *logger_in, const char *context,
			  const char *doing, int percent, unsigned long done,
			  unsigned long total)
{
	struct sending *to = ((struct logger *)logger_in)->to;

	(void)context;
	(void)done;
	/* "Frames iteration 3" */
	if (strcmp(doing, to->doing) != 0) {
		snprintf(to->doing, sizeof(to->doing), "%s", doing);
		begin_iteration(to, total);
	}
	if (!to->show)
		return;
	/* Pages are of 4 KiB. */
	fprintf(stderr, "\r\033[K%s: copying, %u: %d %% of %lu MB", to->name,
		to->iterations, percent, total / 256);
	if (to->dirty_ms)
		fprintf(stderr, ", %llu MB/s written to meanwhile",
			(unsigned long long)to->dirty_pages * 1000 / 256 /
			to->dirty_ms);
}

static void destroy_logger(xentoollog_logger *logger)
{
	(void)logger;
}

int domain_send(unsigned int domid, int fd, struct sending *sending)
{
	struct logger logger = {
		{ take_message, take_progress, destroy_logger }, sending
	};
	struct xl xl;
	int rc, r;

	rc = xl_open_logging(&xl, &logger.vtable);
	if (rc)
		return rc;
	r = libxl_domain_suspend(xl.ctx, domid, fd, LIBXL_SUSPEND_LIVE, NULL);
	xl_close(&xl);
	if (sending->show)
		fputs("\r\033[K", stderr);
	if (!r && !sending->suspended_ms)
		sending->suspended_ms = now_ms();
	/* Its number for whatever comes between before that (xen: libxl_dom_save.c). */
	if (r == ERROR_GUEST_TIMEDOUT)
		return fail("the other end did not take it, or the guest does not react to being suspended");
	return r ? fail("libxl_domain_suspend: error %d", r) : DONE;
}

int domain_resume(unsigned int domid, const char *name)
{
	struct xl xl;
	int rc, r;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	/* Nothing of it was given away: it goes on in the same place. */
	r = libxl_domain_resume(xl.ctx, domid, 1, NULL);
	if (r)
		rc = xl_fail(r, "resume it", name);
	xl_close(&xl);
	return rc;
}

int domain_rename(unsigned int domid, const char *name)
{
	struct xl xl;
	char *now;
	int rc, r;

	rc = xl_open(&xl);
	if (rc)
		return rc;
	now = libxl_domid_to_name(xl.ctx, domid);
	r = !now ? ERROR_DOMAIN_NOTFOUND :
	    !strcmp(now, name) ? 0 :
	    libxl_domain_rename(xl.ctx, domid, now, name);
	if (r)
		rc = xl_fail(r, "rename it", name);
	free(now);
	xl_close(&xl);
	return rc;
}

static int describe_disk(struct session *s, struct xl *xl, unsigned int domid,
			 libxl_device_disk *disk, json_t *disks)
{
	char image[XLRBD_IMAGE_MAX] = "";
	libxl_diskinfo info;
	json_t *row;

	if (!xl_disk_is_ours(disk))
		return DONE;
	if (xl_disk_is_elsewhere(disk))
		return fail("%s is attached in a driver domain, where it cannot be prepared; use --cold",
			    disk->vdev);
	libxl_diskinfo_init(&info);
	if (libxl_device_disk_getinfo(xl->ctx, domid, disk, &info))
		return fail("%s: libxl does not know it", disk->vdev);
	/* Without it there is less to compare, that is all. */
	if (xlrbd_vbd_image(s->ctx, domid, info.devid, image) < 0)
		image[0] = '\0';
	row = json_object();
	set_text(row, "target", disk->pdev_path);
	set_text(row, "vdev", disk->vdev);
	set_text(row, "image", image);
	json_object_set_new(row, "devid", json_integer(info.devid));
	json_object_set_new(row, "writable", json_boolean(disk->readwrite));
	json_array_append_new(disks, row);
	libxl_diskinfo_dispose(&info);
	return DONE;
}

static int check_type(struct xl *xl, const libxl_domain_config *config)
{
	libxl_physinfo info;
	bool can;

	libxl_physinfo_init(&info);
	can = config->c_info.type != LIBXL_DOMAIN_TYPE_PV ||
	      libxl_get_physinfo(xl->ctx, &info) || info.cap_shadow;
	libxl_physinfo_dispose(&info);
	return can ? DONE :
	       fail("is a PV guest, and this Xen cannot move those as they run (it has no shadow paging); use --cold, or type = \"pvh\"");
}

static int describe(struct session *s, struct xl *xl, unsigned int domid,
		    libxl_domain_config *config, json_t *offer)
{
	char uuid[LIBXL_UUID_FMTLEN + 1], id[17], *json;
	json_t *disks = json_array();
	uint64_t chance = 0;
	int i, rc = DONE;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		rc = fail("no random number: %m");
	snprintf(uuid, sizeof(uuid), LIBXL_UUID_FMT,
		 LIBXL_UUID_BYTES(config->c_info.uuid));
	set_text(offer, "name", config->c_info.name);
	set_text(offer, "uuid", uuid);
	snprintf(id, sizeof(id), "%016" PRIx64, chance);
	set_text(offer, "id", id);
	json_object_set_new(offer, "memory_kb",
			    json_integer(config->b_info.max_memkb));
	json_object_set_new(offer, "disks", disks);
	for (i = 0; !rc && i < config->num_disks; i++)
		rc = describe_disk(s, xl, domid, &config->disks[i], disks);
	/* Of this host, if it was chosen for the domain at all. */
	config->c_info.domid = INVALID_DOMID;
	json = rc ? NULL : libxl_domain_config_to_json(xl->ctx, config);
	set_text(offer, "config", json);
	if (!rc && !json)
		rc = fail("libxl cannot write down its configuration");
	free(json);
	return rc;
}

int domain_offer(struct session *s, unsigned int domid, bool live,
		 json_t **offer_out)
{
	libxl_domain_config config;
	struct xl xl;
	int rc, r;

	*offer_out = json_object();
	rc = xl_open(&xl);
	if (rc)
		return rc;
	libxl_domain_config_init(&config);
	r = libxl_retrieve_domain_configuration(xl.ctx, domid, &config, NULL);
	if (r)
		rc = fail("libxl does not know its configuration (error %d)",
			  r);
	if (!rc && live)
		rc = check_type(&xl, &config);
	if (!rc)
		rc = describe(s, &xl, domid, &config, *offer_out);
	libxl_domain_config_dispose(&config);
	xl_close(&xl);
	return rc;
}
