"""The whole service under load: response times while a job runs, for many clients and during attacks."""
