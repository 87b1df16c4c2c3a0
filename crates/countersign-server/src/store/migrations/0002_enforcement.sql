-- `enforce`, or `report` for an anchor that is judged by and never refuses anything.
ALTER TABLE activations ADD COLUMN enforcement TEXT NOT NULL DEFAULT 'enforce';
