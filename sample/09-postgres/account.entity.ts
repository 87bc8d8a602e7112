import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('sample_09_account')
export class Account {
  @PrimaryColumn('text')
  id!: string;

  @Column('int')
  balance!: number;
}
