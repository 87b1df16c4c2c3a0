-- A policy that is only reported, in place of the one that is enforced.
ALTER TABLE certificates ADD COLUMN reported_policy TEXT;
