-- What a doubt takes from a copy that is not doubted itself, and what an object was like when its deletion was decided.

ALTER TABLE replicas
    ADD COLUMN retires_again boolean NOT NULL DEFAULT false;   -- lost its retire_after while another copy is doubted, and
                                                               -- gets one anew when that is good again

ALTER TABLE condemnations
    ADD COLUMN modified_at timestamptz;   -- of an object without a row: when it was last changed, by the store's clock; one
                                          -- that has changed since is another, and stays. NULL: its size alone tells
